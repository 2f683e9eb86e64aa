import { type FieldRule, ignore, never, refuse, refused, supported, type TypeRules } from "./field-rule.ts";

/** Volumes and their sources. */
export const volumeRules: Readonly<Record<string, TypeRules>> = {
  Volume: {
    awsElasticBlockStore: elsewhere(),
    azureDisk: elsewhere(),
    azureFile: elsewhere(),
    cephfs: elsewhere(),
    cinder: elsewhere(),
    configMap: supported(),
    csi: elsewhere(),
    downwardAPI: refused("read the fields through env (fieldRef)", never),
    emptyDir: supported(),
    ephemeral: refused("use emptyDir, or hostPath to keep the data", never),
    fc: elsewhere(),
    flexVolume: elsewhere(),
    flocker: elsewhere(),
    gcePersistentDisk: elsewhere(),
    gitRepo: refused("upstream took it away too; use a container that clones", never),
    glusterfs: elsewhere(),
    hostPath: supported(),
    image: refused("copy the files from a container with that image", never),
    iscsi: elsewhere(),
    name: supported(),
    nfs: refused("mount it on the host and use hostPath", never),
    persistentVolumeClaim: refused("use hostPath to keep the data", never),
    photonPersistentDisk: elsewhere(),
    portworxVolume: elsewhere(),
    projected: refused("mount the ConfigMaps and Secrets one by one", never),
    quobyte: elsewhere(),
    rbd: elsewhere(),
    scaleIO: elsewhere(),
    secret: supported(),
    storageos: elsewhere(),
    vsphereVolume: elsewhere(),
  },
  EmptyDirVolumeSource: {
    medium: supported("none, or Memory", (value) =>
      value === "" || value === "Memory" ? undefined : refuse(`${String(value)} is not supported yet: use Memory`),
    ),
    sizeLimit: supported("enforced with medium: Memory", (_value, parent) =>
      parent["medium"] === "Memory"
        ? undefined
        : ignore("has no effect: a limit on disk is not enforced yet, only one with medium: Memory"),
    ),
  },
  HostPathVolumeSource: { path: supported(), type: supported() },
  ConfigMapVolumeSource: { defaultMode: supported(), items: supported(), name: supported(), optional: supported() },
  SecretVolumeSource: { defaultMode: supported(), items: supported(), optional: supported(), secretName: supported() },
  KeyToPath: { key: supported(), mode: supported(), path: supported() },
};

function elsewhere(): FieldRule {
  return refused("it needs a storage service that this machine does not run", never);
}
