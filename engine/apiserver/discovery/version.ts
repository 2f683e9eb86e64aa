/** What /version says: the Kubernetes API that is served. */
export function versionInfo(): Record<string, string> {
  return {
    major: "1",
    minor: "36",
    gitVersion: "v1.36.0+peapod",
    gitCommit: "",
    gitTreeState: "clean",
    buildDate: "1970-01-01T00:00:00Z",
    goVersion: `node${process.versions.node}`,
    compiler: "node",
    platform: `linux/${process.arch === "x64" ? "amd64" : process.arch}`,
  };
}
