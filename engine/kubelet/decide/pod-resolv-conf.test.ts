import assert from "node:assert/strict";
import { test } from "node:test";
import { podResolvConf } from "./pod-resolv-conf.ts";

const base = { host: "nameserver 192.0.2.53\n", upstream: "" };
const cases: { does: string; given?: Partial<typeof base>; want: string }[] = [
  { does: "keeps the machine's servers", want: "nameserver 192.0.2.53\n" },
  {
    does: "keeps search list and options, and the first three servers",
    given: {
      host: "# c\nsearch a.example b.example ; x\noptions ndots:2\noptions timeout:1\nnameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n",
    },
    want: "search a.example b.example\nnameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\noptions ndots:2 timeout:1\n",
  },
  {
    does: "reads domain as a search list of one",
    given: { host: "domain a.example\nnameserver 192.0.2.1\n" },
    want: "search a.example\nnameserver 192.0.2.1\n",
  },
  {
    does: "leaves loopback servers out",
    given: { host: "nameserver 127.0.0.1\nnameserver ::1\nnameserver 192.0.2.1\n" },
    want: "nameserver 192.0.2.1\n",
  },
  {
    does: "asks systemd-resolved's upstream servers in place of its stub",
    given: {
      host: "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n",
      upstream: "nameserver 192.0.2.9\nnameserver 2001:db8::1\nsearch lan\n",
    },
    want: "search lan\nnameserver 192.0.2.9\noptions edns0 trust-ad\n",
  },
  {
    does: "names no server where none can be reached, and says so",
    given: { host: "nameserver 127.0.0.1\nsearch lan\n" },
    want: "# The machine names no server that a pod could reach: those on its loopback are not the pod's.\n# Name one in the machine's /etc/resolv.conf.\nsearch lan\n",
  },
];
for (const { does, given, want } of cases) {
  test(`podResolvConf() ${does}`, () => assert.equal(podResolvConf({ ...base, ...given }), want));
}
