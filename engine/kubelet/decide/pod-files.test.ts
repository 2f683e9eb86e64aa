import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "@peapod/api";
import { hostsFile, podHostname } from "./pod-files.ts";

const pod = (spec: Partial<NonNullable<Pod["spec"]>> = {}, name = "web"): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name },
  spec: { containers: [], ...spec },
});

test("podHostname() is spec.hostname, else the name, cut to 63 bytes", () => {
  assert.equal(podHostname(pod()), "web");
  assert.equal(podHostname(pod({ hostname: "db-0" })), "db-0");
  assert.equal(podHostname(pod({}, `${"a".repeat(62)}-bcd`)), "a".repeat(62));
});

test("hostsFile() is what the kubelet writes", () => {
  assert.equal(
    hostsFile(pod({ hostAliases: [{ ip: "1.2.3.4", hostnames: ["foo", "bar"] }] }), "10.0.0.2"),
    `# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
10.0.0.2\tweb

# Entries added by HostAliases.
1.2.3.4\tfoo\tbar
`,
  );
});
