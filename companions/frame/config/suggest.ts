export { nearestName as suggest } from "@peapod/api/suggest";
