export { ApiError, type Client, type DeleteOptions, type NamedObject, type ObjectList, type Patch, type Selection, type WatchEvent, type WriteOptions } from "./client.ts";
