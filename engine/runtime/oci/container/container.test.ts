import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "@peapod/kit";
import { hasCode } from "../../../errors.ts";
import { collect, containerConfig, sandboxConfig } from "../../runtime.conformance.ts";
import type { ContainerConfig, PodSandboxConfig } from "../../runtime.ts";
import { type OciTestBed, withOciRuntime } from "../oci-test-bed.fixture.ts";

const signal = AbortSignal.any([]);
const WITHIN = { withinMs: 5_000 };

test("createContainer() gives a process its user, environment, rights and view of the machine", async () => {
  await withOciRuntime(async (bed) => {
    const script =
      "id; pwd; hostname; echo $HOME:$HOSTNAME:$A; grep -E 'Cap(Bnd|Eff)|Seccomp:' /proc/self/status; ls / /proc/acpi; ps; touch /x || echo read-only";
    const overrides = { args: ["sh", "-c", script], user: "web", env: ["A=b"], workingDir: "/made/here", readonlyRootfs: true };
    await runToEnd(bed, containerConfig(bed, overrides));
    const said = text(bed.log());
    assert.match(said, /uid=1000\(web\) gid=1001\(web\) groups=1001\(web\),2000\(logs\)\n\/made\/here\nweb\n\/home\/web:web:b\n/);
    assert.match(said, /CapEff:\s0000000000000000\nCapBnd:\s00000000a80425fb\nSeccomp:\s2/);
    assert.match(said, /read-only/);
    assert.match(said, /\n\s+1 web\s+sh -c/);
  });
});

test("createContainer() shows the pod's /dev/shm and mounts, and nothing else of the host", async () => {
  await withOciRuntime(async (bed) => {
    const shared = join(bed.logDirectory, "shared");
    mkdirSync(shared);
    writeFileSync(join(shared, "from-host"), "hello");
    const script =
      "cat /data/from-host; echo; touch /data/new 2>/dev/null || echo refused; touch /rw/new && echo written; mount | grep -E ' /(data|rw|dev/shm) ' | cut -d' ' -f3,6; ls /proc/1/root/";
    const mounts = [
      { hostPath: shared, containerPath: "/rw", readonly: false },
      { hostPath: shared, containerPath: "/data", readonly: true },
    ];
    await runToEnd(bed, containerConfig(bed, { args: ["sh", "-c", script], mounts }));
    const said = text(bed.log());
    assert.match(said, /^hello\n/);
    assert.match(said, /refused\nwritten\n/);
    assert.ok(existsSync(join(shared, "new")));
  });
});

test("a container of any user may leave its last words, but not so many that they fill anything", async () => {
  await withOciRuntime(async (bed) => {
    const script =
      "ls -l /dev/termination-log | cut -c1-10; set -e; echo last > /dev/termination-log; cat /dev/termination-log; dd if=/dev/zero of=/dev/termination-log bs=1M count=9";
    const config = containerConfig(bed, { args: ["sh", "-c", script], user: "web", readonlyRootfs: true });
    const { id: sandboxId } = await bed.runtime.runPodSandbox({ ...sandboxConfig, shmSizeBytes: 4 * 1024 * 1024 }, signal);
    const id = await startIn(bed, sandboxId, config);
    await eventually(async () => (await bed.runtime.containerStatus(id)).state.kind === "exited", WITHIN);
    assert.match(text(bed.log()), /^-rw-rw-rw-\nlast\ndd: .*No space left/);
    const files = join(bed.runDir, "sandboxes", sandboxId, "memory/files");
    assert.equal(readdirSync(files).length, 1);
    await bed.runtime.removeContainer(id, signal);
    assert.deepEqual(readdirSync(files), []);
    const mounts = [{ hostPath: bed.logDirectory, containerPath: "/dev/termination-log", readonly: false }];
    const own = await startIn(
      bed,
      sandboxId,
      containerConfig(bed, { name: "own", args: ["sh", "-c", "ls -d /dev/termination-log/*"], mounts }),
    );
    await eventually(async () => (await bed.runtime.containerStatus(own)).state.kind === "exited", WITHIN);
    assert.match(text(bed.log("own")), /own.log/);
  });
});

test("createContainer() leaves nothing of a container that cannot be made, and says why", async () => {
  await withOciRuntime(async (bed) => {
    const { id: sandboxId } = await bed.runtime.runPodSandbox(sandboxConfig, signal);
    const bad: [Partial<ContainerConfig>, Parameters<typeof hasCode>[1], RegExp][] = [
      [{ args: ["nope"] }, "CONTAINER_START_FAILED", /^Cannot create container "main": .*executable file (`nope` )?not found in \$PATH/],
      [{ user: "nobody-here" }, "CONTAINER_CONFIG_INVALID", /no matching entries in the image's \/etc\/passwd/],
      [{ stopSignal: "SIGNONE" }, "CONTAINER_CONFIG_INVALID", /no such signal/],
      [
        { mounts: [{ hostPath: "/none/such", containerPath: "/x", readonly: true }] },
        "CONTAINER_CREATE_FAILED",
        /\/none\/such.*no such file or directory/,
      ],
      [{ logPath: "/none/such/0.log" }, "CONTAINER_CREATE_FAILED", /log/],
    ];
    for (const [overrides, code, message] of bad) {
      const config = containerConfig(bed, { args: bed.argsToRun, ...overrides });
      await assert.rejects(bed.runtime.createContainer(sandboxId, config, signal), (error) => {
        assert.ok(hasCode(error, ...(code === undefined ? [] : [code])), String(error));
        assert.match(error.message, message);
        return true;
      });
      for (const name of ["containers", "exits", "runtime"]) assert.deepEqual(readdirSync(join(bed.runDir, name)), [], name);
      assert.deepEqual(await bed.runtime.listContainers(), []);
    }
  });
});

test("createContainer() makes nothing in a folder of the host that the image's /dev is a link to", async () => {
  await withOciRuntime(async (bed) => {
    const victim = join(bed.logDirectory, "victim");
    mkdirSync(victim);
    writeFileSync(join(victim, "ptmx"), "precious");
    symlinkSync(victim, join(bed.rootfsPath, "dev"));
    const { id: sandboxId } = await bed.runtime.runPodSandbox(sandboxConfig, signal);
    const creating = bed.runtime.createContainer(sandboxId, containerConfig(bed, { args: bed.argsToRun }), signal);
    await assert.rejects(
      creating,
      (error) => hasCode(error, "CONTAINER_CONFIG_INVALID") && /\/dev of its image is a symb/.test(error.message),
    );
    assert.deepEqual(readdirSync(victim), ["ptmx"]);
    assert.equal(readFileSync(join(victim, "ptmx"), "utf8"), "precious");
    for (const name of ["containers", "exits", "runtime"]) assert.deepEqual(readdirSync(join(bed.runDir, name)), [], name);
  });
});

test("createContainer() makes mounts below the image's links inside its root", async () => {
  await withOciRuntime(async (bed) => {
    const shared = join(bed.logDirectory, "shared");
    mkdirSync(shared);
    writeFileSync(join(shared, "from-host"), "hello");
    mkdirSync(join(bed.rootfsPath, "var"));
    symlinkSync("/run", join(bed.rootfsPath, "var/run"));
    const mounts = [
      { hostPath: shared, containerPath: "/var/run/secrets/app", readonly: true },
      { hostPath: join(shared, "from-host"), containerPath: "/var/run/one", readonly: true },
    ];
    await runToEnd(bed, containerConfig(bed, { args: ["sh", "-c", "cat /run/secrets/app/from-host /run/one"], mounts }));
    assert.equal(text(bed.log()), "hellohello");
  });
});

for (const readonlyRootfs of [false, true]) {
  test(`createContainer() makes the image's volumes, to be written to ${readonlyRootfs ? "also where the root cannot" : "as the root"}`, async () => {
    await withOciRuntime(async (bed) => {
      const own = join(bed.logDirectory, "own");
      mkdirSync(own);
      mkdirSync(join(bed.rootfsPath, "kept"));
      writeFileSync(join(bed.rootfsPath, "kept/of-image"), "content");
      chownSync(join(bed.rootfsPath, "kept"), 1000, 1001);
      chmodSync(join(bed.rootfsPath, "kept"), 0o750);
      symlinkSync("/srv", join(bed.rootfsPath, "link"));
      const script =
        "ls -ld /kept /new/deep /srv/in; cat /kept/of-image; for at in /new/deep /kept /link/in; do touch $at/x && echo $at; done; " +
        "ls /own; ls /srv/own; touch /x 2>/dev/null && echo root written; ls -d /own/below 2>/dev/null";
      const overrides = {
        args: ["sh", "-c", script],
        readonlyRootfs,
        imageVolumes: ["/new/deep", "kept/", "/link/in", "/own", "/own/below", "/srv/own", "/", "/dev/none", "/proc"],
        mounts: [
          { hostPath: own, containerPath: "/own", readonly: false },
          { hostPath: join(bed.rootfsPath, "etc"), containerPath: "/link/own", readonly: true },
        ],
      };
      await runToEnd(bed, containerConfig(bed, overrides));
      const said = text(bed.log());
      assert.match(
        said,
        /drwxr-x--- .* web .* \/kept\ndrwxr-xr-x .* root .* \/new\/deep\ndrwxr-xr-x .* \/srv\/in\ncontent\/new\/deep\n\/kept\n\/link\/in\ngroup\npasswd\n/,
      );
      assert.equal(said.includes("root written"), !readonlyRootfs);
      assert.deepEqual(readdirSync(own), [], "what the pod mounts is its own");
      assert.equal(statSync(join(bed.rootfsPath, "kept")).uid, 1000);
    });
  });
}

test("createContainer() says so where a volume of the image cannot be made", async () => {
  await withOciRuntime(async (bed) => {
    const { id: sandboxId } = await bed.runtime.runPodSandbox(sandboxConfig, signal);
    const config = containerConfig(bed, { args: bed.argsToRun, imageVolumes: ["/etc/passwd/x"] });
    await assert.rejects(bed.runtime.createContainer(sandboxId, config, signal), (error) => {
      assert.ok(hasCode(error, "CONTAINER_CONFIG_INVALID"), String(error));
      assert.match(error.message, /its image's volume \/etc\/passwd\/x cannot be made/);
      return true;
    });
  });
});

test("createContainer() leaves nothing when it is aborted", async () => {
  await withOciRuntime(async (bed) => {
    const { id: sandboxId } = await bed.runtime.runPodSandbox(sandboxConfig, signal);
    for (const afterMs of [0, 3, 8, 15]) {
      const creating = bed.runtime.createContainer(sandboxId, containerConfig(bed, { args: bed.argsToRun }), AbortSignal.timeout(afterMs));
      await creating.catch(() => {}); // a fast one is made, and removed with its sandbox
    }
    await bed.runtime.removePodSandbox(sandboxId, signal);
    for (const name of ["containers", "exits", "runtime"]) assert.deepEqual(readdirSync(join(bed.runDir, name)), [], name);
  });
});

test("a container over its memory limit exits with 137, OOM-killed", async () => {
  await withOciRuntime(async (bed) => {
    const args = ["sh", "-c", "x=aaaaaaaa; while :; do x=$x$x; done"];
    const state = await runToEnd(bed, containerConfig(bed, { args, resources: { memoryLimitBytes: 16 * 1024 * 1024 } }));
    assert.deepEqual({ exitCode: state.exitCode, oomKilled: state.oomKilled }, { exitCode: 137, oomKilled: true });
  });
});

test("containers of a pod that shares its processes see each other, and leave none behind", async () => {
  await withOciRuntime(async (bed) => {
    const { id: sandboxId } = await bed.runtime.runPodSandbox({ ...sandboxConfig, shareProcessNamespace: true }, signal);
    const main = await startIn(bed, sandboxId, containerConfig(bed, { args: bed.argsToRun }));
    const orphan = await startIn(bed, sandboxId, containerConfig(bed, { name: "orphan", args: ["sh", "-c", "sleep 4321 & exit 4"] }));
    await eventually(async () => (await bed.runtime.containerStatus(orphan)).state.kind === "exited", WITHIN);
    const listing = await execute(bed, main, ["ps"]);
    assert.match(listing, /\n\s+1 (0|root)\s+\/pause -P/);
    assert.match(listing, /trap 'echo bye/);
    await eventually(async () => !(await execute(bed, main, ["ps"])).includes("4321"), WITHIN);
    const [sandbox] = await bed.runtime.listPodSandboxes();
    assert.equal(sandbox?.state, "ready");
    const events = bed.runtime.events(signal)[Symbol.asyncIterator]();
    process.kill(pausePid(bed), "SIGKILL");
    const podUid = sandboxConfig.pod.uid;
    assert.deepEqual(
      [(await events.next()).value, (await events.next()).value],
      [
        { sandboxId, podUid },
        { containerId: main, podUid },
      ],
    );
    assert.equal((await bed.runtime.podSandboxStatus(sandboxId)).state, "notready");
    assert.equal((await bed.runtime.containerStatus(main)).state.kind, "exited");
  });
});

test("stopContainer() of one that was only just started sends its signal to the program, not to the runtime's init", async () => {
  await withOciRuntime(async (bed) => {
    const { id: sandboxId } = await bed.runtime.runPodSandbox({ ...sandboxConfig, shareProcessNamespace: true }, signal);
    for (let time = 0; time < 5; time += 1) {
      // Beside a pause process it is no PID 1, which would ignore a signal that it does not handle yet.
      const id = await startIn(bed, sandboxId, containerConfig(bed, { name: `c${time}`, args: ["sleep", "1000"], stopSignal: "SIGUSR2" }));
      await bed.runtime.stopContainer(id, 10, signal);
      const { state } = await bed.runtime.containerStatus(id);
      assert.equal(state.kind === "exited" && state.exitCode, 128 + 12);
    }
  });
});

test("removePodSandbox() of all sandboxes of a pod at once leaves nothing of the pod", async () => {
  await withOciRuntime(async (bed) => {
    const made = await Promise.all(
      [0, 1].map((attempt) => bed.runtime.runPodSandbox({ ...sandboxConfig, attempt, shareProcessNamespace: true }, signal)),
    );
    await Promise.all(made.map(({ id }) => bed.runtime.removePodSandbox(id, signal)));
  });
});

test("runPodSandbox() refuses a sysctl that would change the host, and leaves nothing", async () => {
  await withOciRuntime(async (bed) => {
    for (const name of ["kernel.panic", "vm.overcommit_memory", "net/../kernel/panic", "net..x"]) {
      const config: PodSandboxConfig = { ...sandboxConfig, sysctls: { [name]: "1" } };
      await assert.rejects(bed.runtime.runPodSandbox(config, signal), (error) => hasCode(error, "CONTAINER_CONFIG_INVALID"), name);
    }
    await assert.rejects(bed.runtime.runPodSandbox({ ...sandboxConfig, sysctls: { "net.ipv4.none_such": "1" } }, signal), (error) =>
      hasCode(error, "RUNTIME_FAILED"),
    );
    assert.deepEqual(readdirSync(join(bed.runDir, "sandboxes")), []);
    const { id } = await bed.runtime.runPodSandbox(
      { ...sandboxConfig, sysctls: { "net.core.somaxconn": "777" }, shmSizeBytes: 1024 * 1024 },
      signal,
    );
    await runToEnd(
      bed,
      containerConfig(bed, {
        args: [
          "sh",
          "-c",
          "cat /proc/sys/net/core/somaxconn /proc/sys/net/ipv4/ip_unprivileged_port_start; dd if=/dev/zero of=/dev/shm/x bs=1k count=2k",
        ],
      }),
      id,
    );
    assert.match(text(bed.log()), /777\n0\n/); // what dd says on the other stream may come before
    assert.match(bed.log(), /No space left/);
  });
});

test("exec() runs on a terminal with a size that changes", { timeout: 20_000 }, async () => {
  await withOciRuntime(async (bed) => {
    const id = await start(bed, containerConfig(bed, { args: bed.argsToRun }));
    const script = 'stty size; read x; until [ "$(stty size)" = "40 120" ]; do sleep 0.02; done; echo got $x; exit 5';
    const size = { columns: 100, rows: 30 };
    const session = await bed.runtime.exec(id, { command: ["sh", "-c", script], tty: true, stdin: true, size }, signal);
    let said = "";
    const reading = (async () => {
      for await (const chunk of session.stdout) said += Buffer.from(chunk).toString("utf8");
    })();
    await eventually(() => said.includes("30 100"), WITHIN);
    session.resize({ columns: 120, rows: 40 });
    await session.write(Buffer.from("go\n"));
    assert.equal(await session.exitCode, 5);
    await reading;
    assert.match(said, /got go\r\n$/);
  });
});

test("exec() hands on at once what is typed before the command on a terminal runs", { timeout: 20_000 }, async () => {
  await withOciRuntime(async (bed) => {
    const id = await start(bed, containerConfig(bed, { args: bed.argsToRun }));
    const session = await bed.runtime.exec(id, { command: ["cat"], tty: true, stdin: true }, AbortSignal.timeout(5_000));
    await session.write(Buffer.from("early\n"));
    session.closeStdin();
    const said = Buffer.concat(await Array.fromAsync(session.stdout)).toString("utf8");
    assert.equal(await session.exitCode, 0);
    assert.equal(said, "early\r\nearly\r\n"); // the terminal's echo, and the command
  });
});

test("exec() says what cannot be started, and ends with the whole process when aborted", async () => {
  await withOciRuntime(async (bed) => {
    const id = await start(bed, containerConfig(bed, { args: bed.argsToRun }));
    const missing = await bed.runtime.exec(id, { command: ["nope"], tty: false, stdin: false }, signal);
    const [said, exitCode] = await Promise.all([collect(missing.stderr), missing.exitCode]);
    assert.match(said, /executable file (`nope` )?not found in \$PATH/);
    assert.equal(exitCode, 127);
    const killed = await bed.runtime.exec(id, { command: ["sh", "-c", "kill -9 $$"], tty: false, stdin: false }, signal);
    assert.equal(await killed.exitCode, 137);
    assert.match(await execute(bed, id, ["sh", "-c", "ls /proc/$$/fd; true"]), /^0\n1\n2\n(10\n)?$/, "nothing of ours is open in there");
    const stop = new AbortController();
    const session = await bed.runtime.exec(
      id,
      { command: ["sh", "-c", "sleep 5432 & sleep 5433; true"], tty: false, stdin: false },
      stop.signal,
    );
    const isListed = (listing: string): boolean =>
      ["5432", "5433"].every((seconds) => new RegExp(`\\S +sleep ${seconds}$`, "m").test(listing));
    await eventually(async () => isListed(await execute(bed, id, ["ps"])), WITHIN);
    stop.abort();
    await session.exitCode;
    await eventually(async () => !(await execute(bed, id, ["ps"])).includes("sleep 543"), WITHIN);
  });
});

test("stopContainer() waits out a grace that is longer than Node's own timers", { timeout: 30_000 }, async () => {
  await withOciRuntime(async (bed) => {
    const args = ["sh", "-c", "trap 'sleep 0.3; echo clean; exit 3' TERM; echo ready; while :; do sleep 1000 & wait; done"];
    const id = await start(bed, containerConfig(bed, { args }));
    await eventually(() => bed.log().includes("ready"), WITHIN);
    await bed.runtime.stopContainer(id, 30 * 24 * 3600, signal);
    const { state } = await bed.runtime.containerStatus(id);
    assert.equal(state.kind === "exited" && state.exitCode, 3);
    assert.match(bed.log(), /clean/);
  });
});

test("a log that reaches its size limit goes on in a new file, and loses nothing of the last two where the first has another name", async () => {
  await withOciRuntime(async (bed) => {
    const runtime = await bed.reopen({ logMaxSizeBytes: 20_000 });
    const fill = "i=0; while [ $i -lt 600 ]; do echo $i; i=$((i+1)); done";
    const config = containerConfig(bed, { args: ["sh", "-c", `while [ ! -e /tmp/go ]; do sleep 0.05; done; ${fill}; sleep 1000`] });
    const id = await start({ ...bed, runtime }, config);
    linkSync(config.logPath, `${config.logPath}.held`);
    await execute({ ...bed, runtime }, id, ["touch", "/tmp/go"]);
    const whole = (): string => text(readFileSync(`${config.logPath}.held`, "utf8") + bed.log());
    await eventually(() => whole().endsWith("\n599\n"), WITHIN);
    assert.equal(whole(), Array.from({ length: 600 }, (_, index) => `${index}\n`).join(""));
    for (const path of [config.logPath, `${config.logPath}.held`]) assert.ok(statSync(path).size <= 20_000, path);
  });
});

test("a root file system's links do not lead out of it", async () => {
  await withOciRuntime(async (bed) => {
    unlinkSync(join(bed.rootfsPath, "etc/passwd"));
    symlinkSync("../../../../../../../../../etc/shadow", join(bed.rootfsPath, "etc/passwd"));
    await assert.rejects(start(bed, containerConfig(bed, { args: bed.argsToRun, user: "daemon" })), (error) =>
      hasCode(error, "CONTAINER_CONFIG_INVALID"),
    );
  });
});

async function start(bed: OciTestBed, config: ContainerConfig): Promise<string> {
  const { id } = await bed.runtime.runPodSandbox(sandboxConfig, signal);
  return await startIn(bed, id, config);
}

async function startIn(bed: OciTestBed, sandboxId: string, config: ContainerConfig): Promise<string> {
  const id = await bed.runtime.createContainer(sandboxId, config, signal);
  await bed.runtime.startContainer(id, signal);
  return id;
}

async function runToEnd(bed: OciTestBed, config: ContainerConfig, sandboxId?: string): Promise<{ exitCode: number; oomKilled: boolean }> {
  const id = sandboxId === undefined ? await start(bed, config) : await startIn(bed, sandboxId, config);
  return await eventually(async () => {
    const { state } = await bed.runtime.containerStatus(id);
    return state.kind === "exited" && state;
  }, WITHIN);
}

async function execute(bed: OciTestBed, id: string, command: readonly string[]): Promise<string> {
  const session = await bed.runtime.exec(id, { command, tty: false, stdin: false }, signal);
  const [said] = await Promise.all([collect(session.stdout), session.exitCode]);
  return said;
}

function pausePid({ runDir }: OciTestBed): number {
  const [sandbox = ""] = readdirSync(join(runDir, "sandboxes"));
  return Number(readFileSync(join(runDir, "sandboxes", sandbox, "pause/pid"), "utf8"));
}

/** The text of a CRI log's lines, partial ones joined. */
function text(log: string): string {
  const lines = [...log.matchAll(/^\S+ (?:stdout|stderr) ([FP]) (.*)$/gm)];
  return lines.map(([, tag, line = ""]) => (tag === "F" ? `${line}\n` : line)).join("");
}
