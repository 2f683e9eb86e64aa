// Generated from schema-table.json by tools/generate-types.ts; do not edit.

/** meta.v1.APIGroup */
export interface APIGroup {
  apiVersion: "meta.k8s.io/v1";
  kind: "APIGroup";
  name: string;
  preferredVersion?: GroupVersionForDiscovery;
  serverAddressByClientCIDRs?: ServerAddressByClientCIDR[];
  versions: GroupVersionForDiscovery[];
}

/** meta.v1.APIGroupList */
export interface APIGroupList {
  apiVersion: "v1";
  groups: APIGroup[];
  kind: "APIGroupList";
}

/** meta.v1.APIResource */
export interface APIResource {
  categories?: string[];
  group?: string;
  kind: string;
  name: string;
  namespaced: boolean;
  shortNames?: string[];
  singularName: string;
  storageVersionHash?: string;
  verbs: string[];
  version?: string;
}

/** meta.v1.APIResourceList */
export interface APIResourceList {
  apiVersion: "v1";
  groupVersion: string;
  kind: "APIResourceList";
  resources: APIResource[];
}

/** meta.v1.APIVersions */
export interface APIVersions {
  apiVersion: "v1";
  kind: "APIVersions";
  serverAddressByClientCIDRs: ServerAddressByClientCIDR[];
  versions: string[];
}

/** core.v1.AWSElasticBlockStoreVolumeSource */
export interface AWSElasticBlockStoreVolumeSource {
  fsType?: string;
  partition?: number;
  readOnly?: boolean;
  volumeID: string;
}

/** core.v1.Affinity */
export interface Affinity {
  nodeAffinity?: NodeAffinity;
  podAffinity?: PodAffinity;
  podAntiAffinity?: PodAntiAffinity;
}

/** core.v1.AppArmorProfile */
export interface AppArmorProfile {
  localhostProfile?: string;
  type: "Unconfined" | "RuntimeDefault" | "Localhost";
}

/** core.v1.AttachedVolume */
export interface AttachedVolume {
  devicePath: string;
  name: string;
}

/** core.v1.AzureDiskVolumeSource */
export interface AzureDiskVolumeSource {
  cachingMode?: "None" | "ReadOnly" | "ReadWrite";
  diskName: string;
  diskURI: string;
  fsType?: string;
  kind?: "Shared" | "Dedicated" | "Managed";
  readOnly?: boolean;
}

/** core.v1.AzureFileVolumeSource */
export interface AzureFileVolumeSource {
  readOnly?: boolean;
  secretName: string;
  shareName: string;
}

/** core.v1.CSIVolumeSource */
export interface CSIVolumeSource {
  driver: string;
  fsType?: string;
  nodePublishSecretRef?: LocalObjectReference;
  readOnly?: boolean;
  volumeAttributes?: Record<string, string>;
}

/** core.v1.Capabilities */
export interface Capabilities {
  add?: string[];
  drop?: string[];
}

/** core.v1.CephFSVolumeSource */
export interface CephFSVolumeSource {
  monitors: string[];
  path?: string;
  readOnly?: boolean;
  secretFile?: string;
  secretRef?: LocalObjectReference;
  user?: string;
}

/** core.v1.CinderVolumeSource */
export interface CinderVolumeSource {
  fsType?: string;
  readOnly?: boolean;
  secretRef?: LocalObjectReference;
  volumeID: string;
}

/** core.v1.ClusterTrustBundleProjection */
export interface ClusterTrustBundleProjection {
  labelSelector?: LabelSelector;
  name?: string;
  optional?: boolean;
  path: string;
  signerName?: string;
}

/** core.v1.ConfigMap */
export interface ConfigMap {
  apiVersion: "v1";
  binaryData?: Record<string, string>;
  data?: Record<string, string>;
  immutable?: boolean;
  kind: "ConfigMap";
  metadata: ObjectMeta;
}

/** core.v1.ConfigMapEnvSource */
export interface ConfigMapEnvSource {
  name?: string;
  optional?: boolean;
}

/** core.v1.ConfigMapKeySelector */
export interface ConfigMapKeySelector {
  key: string;
  name?: string;
  optional?: boolean;
}

/** core.v1.ConfigMapNodeConfigSource */
export interface ConfigMapNodeConfigSource {
  kubeletConfigKey: string;
  name: string;
  namespace: string;
  resourceVersion?: string;
  uid?: string;
}

/** core.v1.ConfigMapProjection */
export interface ConfigMapProjection {
  items?: KeyToPath[];
  name?: string;
  optional?: boolean;
}

/** core.v1.ConfigMapVolumeSource */
export interface ConfigMapVolumeSource {
  defaultMode?: number;
  items?: KeyToPath[];
  name?: string;
  optional?: boolean;
}

/** core.v1.Container */
export interface Container {
  args?: string[];
  command?: string[];
  env?: EnvVar[];
  envFrom?: EnvFromSource[];
  image?: string;
  imagePullPolicy?: "Always" | "Never" | "IfNotPresent";
  lifecycle?: Lifecycle;
  livenessProbe?: Probe;
  name: string;
  ports?: ContainerPort[];
  readinessProbe?: Probe;
  resizePolicy?: ContainerResizePolicy[];
  resources?: ResourceRequirements;
  restartPolicy?: "Always" | "OnFailure" | "Never";
  restartPolicyRules?: ContainerRestartRule[];
  securityContext?: SecurityContext;
  startupProbe?: Probe;
  stdin?: boolean;
  stdinOnce?: boolean;
  terminationMessagePath?: string;
  terminationMessagePolicy?: "File" | "FallbackToLogsOnError";
  tty?: boolean;
  volumeDevices?: VolumeDevice[];
  volumeMounts?: VolumeMount[];
  workingDir?: string;
}

/** core.v1.ContainerExtendedResourceRequest */
export interface ContainerExtendedResourceRequest {
  containerName: string;
  requestName: string;
  resourceName: string;
}

/** core.v1.ContainerImage */
export interface ContainerImage {
  names?: string[];
  sizeBytes?: number;
}

/** core.v1.ContainerPort */
export interface ContainerPort {
  containerPort: number;
  hostIP?: string;
  hostPort?: number;
  name?: string;
  protocol?: "TCP" | "UDP" | "SCTP";
}

/** core.v1.ContainerResizePolicy */
export interface ContainerResizePolicy {
  resourceName: string;
  restartPolicy: string;
}

/** core.v1.ContainerRestartRule */
export interface ContainerRestartRule {
  action: string;
  exitCodes?: ContainerRestartRuleOnExitCodes;
}

/** core.v1.ContainerRestartRuleOnExitCodes */
export interface ContainerRestartRuleOnExitCodes {
  operator: string;
  values?: number[];
}

/** core.v1.ContainerState */
export interface ContainerState {
  running?: ContainerStateRunning;
  terminated?: ContainerStateTerminated;
  waiting?: ContainerStateWaiting;
}

/** core.v1.ContainerStateRunning */
export interface ContainerStateRunning {
  startedAt?: string;
}

/** core.v1.ContainerStateTerminated */
export interface ContainerStateTerminated {
  containerID?: string;
  exitCode: number;
  finishedAt?: string;
  message?: string;
  reason?: string;
  signal?: number;
  startedAt?: string;
}

/** core.v1.ContainerStateWaiting */
export interface ContainerStateWaiting {
  message?: string;
  reason?: string;
}

/** core.v1.ContainerStatus */
export interface ContainerStatus {
  allocatedResources?: Record<string, string>;
  allocatedResourcesStatus?: ResourceStatus[];
  containerID?: string;
  image: string;
  imageID: string;
  lastState?: ContainerState;
  name: string;
  ready: boolean;
  resources?: ResourceRequirements;
  restartCount: number;
  started?: boolean;
  state?: ContainerState;
  stopSignal?: "SIGABRT" | "SIGALRM" | "SIGBUS" | "SIGCHLD" | "SIGCLD" | "SIGCONT" | "SIGFPE" | "SIGHUP" | "SIGILL" | "SIGINT" | "SIGIO" | "SIGIOT" | "SIGKILL" | "SIGPIPE" | "SIGPOLL" | "SIGPROF" | "SIGPWR" | "SIGQUIT" | "SIGSEGV" | "SIGSTKFLT" | "SIGSTOP" | "SIGSYS" | "SIGTERM" | "SIGTRAP" | "SIGTSTP" | "SIGTTIN" | "SIGTTOU" | "SIGURG" | "SIGUSR1" | "SIGUSR2" | "SIGVTALRM" | "SIGWINCH" | "SIGXCPU" | "SIGXFSZ" | "SIGRTMIN" | "SIGRTMIN+1" | "SIGRTMIN+2" | "SIGRTMIN+3" | "SIGRTMIN+4" | "SIGRTMIN+5" | "SIGRTMIN+6" | "SIGRTMIN+7" | "SIGRTMIN+8" | "SIGRTMIN+9" | "SIGRTMIN+10" | "SIGRTMIN+11" | "SIGRTMIN+12" | "SIGRTMIN+13" | "SIGRTMIN+14" | "SIGRTMIN+15" | "SIGRTMAX-14" | "SIGRTMAX-13" | "SIGRTMAX-12" | "SIGRTMAX-11" | "SIGRTMAX-10" | "SIGRTMAX-9" | "SIGRTMAX-8" | "SIGRTMAX-7" | "SIGRTMAX-6" | "SIGRTMAX-5" | "SIGRTMAX-4" | "SIGRTMAX-3" | "SIGRTMAX-2" | "SIGRTMAX-1" | "SIGRTMAX";
  user?: ContainerUser;
  volumeMounts?: VolumeMountStatus[];
}

/** core.v1.ContainerUser */
export interface ContainerUser {
  linux?: LinuxContainerUser;
}

/** core.v1.DaemonEndpoint */
export interface DaemonEndpoint {
  Port: number;
}

/** meta.v1.DeleteOptions */
export interface DeleteOptions {
  apiVersion: "v1";
  dryRun?: string[];
  gracePeriodSeconds?: number;
  ignoreStoreReadErrorWithClusterBreakingPotential?: boolean;
  kind: "DeleteOptions";
  orphanDependents?: boolean;
  preconditions?: Preconditions;
  propagationPolicy?: string;
}

/** core.v1.DownwardAPIProjection */
export interface DownwardAPIProjection {
  items?: DownwardAPIVolumeFile[];
}

/** core.v1.DownwardAPIVolumeFile */
export interface DownwardAPIVolumeFile {
  fieldRef?: ObjectFieldSelector;
  mode?: number;
  path: string;
  resourceFieldRef?: ResourceFieldSelector;
}

/** core.v1.DownwardAPIVolumeSource */
export interface DownwardAPIVolumeSource {
  defaultMode?: number;
  items?: DownwardAPIVolumeFile[];
}

/** core.v1.EmptyDirVolumeSource */
export interface EmptyDirVolumeSource {
  medium?: string;
  sizeLimit?: string;
}

/** core.v1.EnvFromSource */
export interface EnvFromSource {
  configMapRef?: ConfigMapEnvSource;
  prefix?: string;
  secretRef?: SecretEnvSource;
}

/** core.v1.EnvVar */
export interface EnvVar {
  name: string;
  value?: string;
  valueFrom?: EnvVarSource;
}

/** core.v1.EnvVarSource */
export interface EnvVarSource {
  configMapKeyRef?: ConfigMapKeySelector;
  fieldRef?: ObjectFieldSelector;
  fileKeyRef?: FileKeySelector;
  resourceFieldRef?: ResourceFieldSelector;
  secretKeyRef?: SecretKeySelector;
}

/** core.v1.EphemeralContainer */
export interface EphemeralContainer {
  args?: string[];
  command?: string[];
  env?: EnvVar[];
  envFrom?: EnvFromSource[];
  image?: string;
  imagePullPolicy?: "Always" | "Never" | "IfNotPresent";
  lifecycle?: Lifecycle;
  livenessProbe?: Probe;
  name: string;
  ports?: ContainerPort[];
  readinessProbe?: Probe;
  resizePolicy?: ContainerResizePolicy[];
  resources?: ResourceRequirements;
  restartPolicy?: string;
  restartPolicyRules?: ContainerRestartRule[];
  securityContext?: SecurityContext;
  startupProbe?: Probe;
  stdin?: boolean;
  stdinOnce?: boolean;
  targetContainerName?: string;
  terminationMessagePath?: string;
  terminationMessagePolicy?: "File" | "FallbackToLogsOnError";
  tty?: boolean;
  volumeDevices?: VolumeDevice[];
  volumeMounts?: VolumeMount[];
  workingDir?: string;
}

/** core.v1.EphemeralVolumeSource */
export interface EphemeralVolumeSource {
  volumeClaimTemplate?: PersistentVolumeClaimTemplate;
}

/** core.v1.Event */
export interface Event {
  action?: string;
  apiVersion: "v1";
  count?: number;
  eventTime?: string;
  firstTimestamp?: string;
  involvedObject: ObjectReference;
  kind: "Event";
  lastTimestamp?: string;
  message?: string;
  metadata: ObjectMeta;
  reason?: string;
  related?: ObjectReference;
  reportingComponent?: string;
  reportingInstance?: string;
  series?: EventSeries;
  source?: EventSource;
  type?: string;
}

/** core.v1.EventSeries */
export interface EventSeries {
  count?: number;
  lastObservedTime?: string;
}

/** core.v1.EventSource */
export interface EventSource {
  component?: string;
  host?: string;
}

/** core.v1.ExecAction */
export interface ExecAction {
  command?: string[];
}

/** core.v1.FCVolumeSource */
export interface FCVolumeSource {
  fsType?: string;
  lun?: number;
  readOnly?: boolean;
  targetWWNs?: string[];
  wwids?: string[];
}

/** core.v1.FileKeySelector */
export interface FileKeySelector {
  key: string;
  optional?: boolean;
  path: string;
  volumeName: string;
}

/** core.v1.FlexVolumeSource */
export interface FlexVolumeSource {
  driver: string;
  fsType?: string;
  options?: Record<string, string>;
  readOnly?: boolean;
  secretRef?: LocalObjectReference;
}

/** core.v1.FlockerVolumeSource */
export interface FlockerVolumeSource {
  datasetName?: string;
  datasetUUID?: string;
}

/** core.v1.GCEPersistentDiskVolumeSource */
export interface GCEPersistentDiskVolumeSource {
  fsType?: string;
  partition?: number;
  pdName: string;
  readOnly?: boolean;
}

/** core.v1.GRPCAction */
export interface GRPCAction {
  port: number;
  service?: string;
}

/** core.v1.GitRepoVolumeSource */
export interface GitRepoVolumeSource {
  directory?: string;
  repository: string;
  revision?: string;
}

/** core.v1.GlusterfsVolumeSource */
export interface GlusterfsVolumeSource {
  endpoints: string;
  path: string;
  readOnly?: boolean;
}

/** meta.v1.GroupVersionForDiscovery */
export interface GroupVersionForDiscovery {
  groupVersion: string;
  version: string;
}

/** core.v1.HTTPGetAction */
export interface HTTPGetAction {
  host?: string;
  httpHeaders?: HTTPHeader[];
  path?: string;
  port: number | string;
  scheme?: "HTTP" | "HTTPS";
}

/** core.v1.HTTPHeader */
export interface HTTPHeader {
  name: string;
  value: string;
}

/** core.v1.HostAlias */
export interface HostAlias {
  hostnames?: string[];
  ip: string;
}

/** core.v1.HostIP */
export interface HostIP {
  ip: string;
}

/** core.v1.HostPathVolumeSource */
export interface HostPathVolumeSource {
  path: string;
  type?: "" | "DirectoryOrCreate" | "Directory" | "FileOrCreate" | "File" | "Socket" | "CharDevice" | "BlockDevice";
}

/** core.v1.ISCSIVolumeSource */
export interface ISCSIVolumeSource {
  chapAuthDiscovery?: boolean;
  chapAuthSession?: boolean;
  fsType?: string;
  initiatorName?: string;
  iqn: string;
  iscsiInterface?: string;
  lun: number;
  portals?: string[];
  readOnly?: boolean;
  secretRef?: LocalObjectReference;
  targetPortal: string;
}

/** core.v1.ImageVolumeSource */
export interface ImageVolumeSource {
  pullPolicy?: "Always" | "Never" | "IfNotPresent";
  reference?: string;
}

/** core.v1.ImageVolumeStatus */
export interface ImageVolumeStatus {
  imageRef: string;
}

/** core.v1.KeyToPath */
export interface KeyToPath {
  key: string;
  mode?: number;
  path: string;
}

/** meta.v1.LabelSelector */
export interface LabelSelector {
  matchExpressions?: LabelSelectorRequirement[];
  matchLabels?: Record<string, string>;
}

/** meta.v1.LabelSelectorRequirement */
export interface LabelSelectorRequirement {
  key: string;
  operator: string;
  values?: string[];
}

/** coordination.v1.Lease */
export interface Lease {
  apiVersion: "coordination.k8s.io/v1";
  kind: "Lease";
  metadata: ObjectMeta;
  spec?: LeaseSpec;
}

/** coordination.v1.LeaseSpec */
export interface LeaseSpec {
  acquireTime?: string;
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  leaseTransitions?: number;
  preferredHolder?: string;
  renewTime?: string;
  strategy?: string;
}

/** core.v1.Lifecycle */
export interface Lifecycle {
  postStart?: LifecycleHandler;
  preStop?: LifecycleHandler;
  stopSignal?: "SIGABRT" | "SIGALRM" | "SIGBUS" | "SIGCHLD" | "SIGCLD" | "SIGCONT" | "SIGFPE" | "SIGHUP" | "SIGILL" | "SIGINT" | "SIGIO" | "SIGIOT" | "SIGKILL" | "SIGPIPE" | "SIGPOLL" | "SIGPROF" | "SIGPWR" | "SIGQUIT" | "SIGSEGV" | "SIGSTKFLT" | "SIGSTOP" | "SIGSYS" | "SIGTERM" | "SIGTRAP" | "SIGTSTP" | "SIGTTIN" | "SIGTTOU" | "SIGURG" | "SIGUSR1" | "SIGUSR2" | "SIGVTALRM" | "SIGWINCH" | "SIGXCPU" | "SIGXFSZ" | "SIGRTMIN" | "SIGRTMIN+1" | "SIGRTMIN+2" | "SIGRTMIN+3" | "SIGRTMIN+4" | "SIGRTMIN+5" | "SIGRTMIN+6" | "SIGRTMIN+7" | "SIGRTMIN+8" | "SIGRTMIN+9" | "SIGRTMIN+10" | "SIGRTMIN+11" | "SIGRTMIN+12" | "SIGRTMIN+13" | "SIGRTMIN+14" | "SIGRTMIN+15" | "SIGRTMAX-14" | "SIGRTMAX-13" | "SIGRTMAX-12" | "SIGRTMAX-11" | "SIGRTMAX-10" | "SIGRTMAX-9" | "SIGRTMAX-8" | "SIGRTMAX-7" | "SIGRTMAX-6" | "SIGRTMAX-5" | "SIGRTMAX-4" | "SIGRTMAX-3" | "SIGRTMAX-2" | "SIGRTMAX-1" | "SIGRTMAX";
}

/** core.v1.LifecycleHandler */
export interface LifecycleHandler {
  exec?: ExecAction;
  httpGet?: HTTPGetAction;
  sleep?: SleepAction;
  tcpSocket?: TCPSocketAction;
}

/** core.v1.LinuxContainerUser */
export interface LinuxContainerUser {
  gid: number;
  supplementalGroups?: number[];
  uid: number;
}

/** meta.v1.ListMeta */
export interface ListMeta {
  continue?: string;
  remainingItemCount?: number;
  resourceVersion?: string;
  selfLink?: string;
  shardInfo?: ShardInfo;
}

/** core.v1.LocalObjectReference */
export interface LocalObjectReference {
  name?: string;
}

/** meta.v1.ManagedFieldsEntry */
export interface ManagedFieldsEntry {
  apiVersion?: string;
  fieldsType?: string;
  fieldsV1?: unknown;
  manager?: string;
  operation?: string;
  subresource?: string;
  time?: string;
}

/** core.v1.NFSVolumeSource */
export interface NFSVolumeSource {
  path: string;
  readOnly?: boolean;
  server: string;
}

/** core.v1.Namespace */
export interface Namespace {
  apiVersion: "v1";
  kind: "Namespace";
  metadata: ObjectMeta;
  spec?: NamespaceSpec;
  status?: NamespaceStatus;
}

/** core.v1.NamespaceCondition */
export interface NamespaceCondition {
  lastTransitionTime?: string;
  message?: string;
  reason?: string;
  status: string;
  type: string;
}

/** core.v1.NamespaceSpec */
export interface NamespaceSpec {
  finalizers?: string[];
}

/** core.v1.NamespaceStatus */
export interface NamespaceStatus {
  conditions?: NamespaceCondition[];
  phase?: "Active" | "Terminating";
}

/** core.v1.Node */
export interface Node {
  apiVersion: "v1";
  kind: "Node";
  metadata: ObjectMeta;
  spec?: NodeSpec;
  status?: NodeStatus;
}

/** core.v1.NodeAddress */
export interface NodeAddress {
  address: string;
  type: string;
}

/** core.v1.NodeAffinity */
export interface NodeAffinity {
  preferredDuringSchedulingIgnoredDuringExecution?: PreferredSchedulingTerm[];
  requiredDuringSchedulingIgnoredDuringExecution?: NodeSelector;
}

/** core.v1.NodeAllocatableResourceClaimStatus */
export interface NodeAllocatableResourceClaimStatus {
  containers?: string[];
  resourceClaimName: string;
  resources: Record<string, string>;
}

/** core.v1.NodeCondition */
export interface NodeCondition {
  lastHeartbeatTime?: string;
  lastTransitionTime?: string;
  message?: string;
  reason?: string;
  status: string;
  type: string;
}

/** core.v1.NodeConfigSource */
export interface NodeConfigSource {
  configMap?: ConfigMapNodeConfigSource;
}

/** core.v1.NodeConfigStatus */
export interface NodeConfigStatus {
  active?: NodeConfigSource;
  assigned?: NodeConfigSource;
  error?: string;
  lastKnownGood?: NodeConfigSource;
}

/** core.v1.NodeDaemonEndpoints */
export interface NodeDaemonEndpoints {
  kubeletEndpoint?: DaemonEndpoint;
}

/** core.v1.NodeFeatures */
export interface NodeFeatures {
  supplementalGroupsPolicy?: boolean;
}

/** core.v1.NodeRuntimeHandler */
export interface NodeRuntimeHandler {
  features?: NodeRuntimeHandlerFeatures;
  name?: string;
}

/** core.v1.NodeRuntimeHandlerFeatures */
export interface NodeRuntimeHandlerFeatures {
  recursiveReadOnlyMounts?: boolean;
  userNamespaces?: boolean;
}

/** core.v1.NodeSelector */
export interface NodeSelector {
  nodeSelectorTerms: NodeSelectorTerm[];
}

/** core.v1.NodeSelectorRequirement */
export interface NodeSelectorRequirement {
  key: string;
  operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";
  values?: string[];
}

/** core.v1.NodeSelectorTerm */
export interface NodeSelectorTerm {
  matchExpressions?: NodeSelectorRequirement[];
  matchFields?: NodeSelectorRequirement[];
}

/** core.v1.NodeSpec */
export interface NodeSpec {
  configSource?: NodeConfigSource;
  externalID?: string;
  podCIDR?: string;
  podCIDRs?: string[];
  providerID?: string;
  taints?: Taint[];
  unschedulable?: boolean;
}

/** core.v1.NodeStatus */
export interface NodeStatus {
  addresses?: NodeAddress[];
  allocatable?: Record<string, string>;
  capacity?: Record<string, string>;
  conditions?: NodeCondition[];
  config?: NodeConfigStatus;
  daemonEndpoints?: NodeDaemonEndpoints;
  declaredFeatures?: string[];
  features?: NodeFeatures;
  images?: ContainerImage[];
  nodeInfo?: NodeSystemInfo;
  phase?: "Pending" | "Running" | "Terminated";
  runtimeHandlers?: NodeRuntimeHandler[];
  volumesAttached?: AttachedVolume[];
  volumesInUse?: string[];
}

/** core.v1.NodeSwapStatus */
export interface NodeSwapStatus {
  capacity?: number;
}

/** core.v1.NodeSystemInfo */
export interface NodeSystemInfo {
  architecture: string;
  bootID: string;
  containerRuntimeVersion: string;
  kernelVersion: string;
  kubeProxyVersion: string;
  kubeletVersion: string;
  machineID: string;
  operatingSystem: string;
  osImage: string;
  swap?: NodeSwapStatus;
  systemUUID: string;
}

/** core.v1.ObjectFieldSelector */
export interface ObjectFieldSelector {
  apiVersion?: string;
  fieldPath: string;
}

/** meta.v1.ObjectMeta */
export interface ObjectMeta {
  annotations?: Record<string, string>;
  creationTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  deletionTimestamp?: string;
  finalizers?: string[];
  generateName?: string;
  generation?: number;
  labels?: Record<string, string>;
  managedFields?: ManagedFieldsEntry[];
  name?: string;
  namespace?: string;
  ownerReferences?: OwnerReference[];
  resourceVersion?: string;
  selfLink?: string;
  uid?: string;
}

/** core.v1.ObjectReference */
export interface ObjectReference {
  apiVersion?: string;
  fieldPath?: string;
  kind?: string;
  name?: string;
  namespace?: string;
  resourceVersion?: string;
  uid?: string;
}

/** meta.v1.OwnerReference */
export interface OwnerReference {
  apiVersion: string;
  blockOwnerDeletion?: boolean;
  controller?: boolean;
  kind: string;
  name: string;
  uid: string;
}

/** meta.v1.PartialObjectMetadata */
export interface PartialObjectMetadata {
  apiVersion: "meta.k8s.io/v1";
  kind: "PartialObjectMetadata";
  metadata: ObjectMeta;
}

/** core.v1.PersistentVolumeClaimSpec */
export interface PersistentVolumeClaimSpec {
  accessModes?: string[];
  dataSource?: TypedLocalObjectReference;
  dataSourceRef?: TypedObjectReference;
  resources?: VolumeResourceRequirements;
  selector?: LabelSelector;
  storageClassName?: string;
  volumeAttributesClassName?: string;
  volumeMode?: "Block" | "Filesystem";
  volumeName?: string;
}

/** core.v1.PersistentVolumeClaimTemplate */
export interface PersistentVolumeClaimTemplate {
  metadata?: ObjectMeta;
  spec: PersistentVolumeClaimSpec;
}

/** core.v1.PersistentVolumeClaimVolumeSource */
export interface PersistentVolumeClaimVolumeSource {
  claimName: string;
  readOnly?: boolean;
}

/** core.v1.PhotonPersistentDiskVolumeSource */
export interface PhotonPersistentDiskVolumeSource {
  fsType?: string;
  pdID: string;
}

/** core.v1.Pod */
export interface Pod {
  apiVersion: "v1";
  kind: "Pod";
  metadata: ObjectMeta;
  spec?: PodSpec;
  status?: PodStatus;
}

/** core.v1.PodAffinity */
export interface PodAffinity {
  preferredDuringSchedulingIgnoredDuringExecution?: WeightedPodAffinityTerm[];
  requiredDuringSchedulingIgnoredDuringExecution?: PodAffinityTerm[];
}

/** core.v1.PodAffinityTerm */
export interface PodAffinityTerm {
  labelSelector?: LabelSelector;
  matchLabelKeys?: string[];
  mismatchLabelKeys?: string[];
  namespaceSelector?: LabelSelector;
  namespaces?: string[];
  topologyKey: string;
}

/** core.v1.PodAntiAffinity */
export interface PodAntiAffinity {
  preferredDuringSchedulingIgnoredDuringExecution?: WeightedPodAffinityTerm[];
  requiredDuringSchedulingIgnoredDuringExecution?: PodAffinityTerm[];
}

/** core.v1.PodCertificateProjection */
export interface PodCertificateProjection {
  certificateChainPath?: string;
  credentialBundlePath?: string;
  keyPath?: string;
  keyType: string;
  maxExpirationSeconds?: number;
  signerName: string;
  userAnnotations?: Record<string, string>;
}

/** core.v1.PodCondition */
export interface PodCondition {
  lastProbeTime?: string;
  lastTransitionTime?: string;
  message?: string;
  observedGeneration?: number;
  reason?: string;
  status: string;
  type: string;
}

/** core.v1.PodDNSConfig */
export interface PodDNSConfig {
  nameservers?: string[];
  options?: PodDNSConfigOption[];
  searches?: string[];
}

/** core.v1.PodDNSConfigOption */
export interface PodDNSConfigOption {
  name?: string;
  value?: string;
}

/** core.v1.PodExtendedResourceClaimStatus */
export interface PodExtendedResourceClaimStatus {
  requestMappings: ContainerExtendedResourceRequest[];
  resourceClaimName: string;
}

/** core.v1.PodIP */
export interface PodIP {
  ip: string;
}

/** core.v1.PodOS */
export interface PodOS {
  name: string;
}

/** core.v1.PodReadinessGate */
export interface PodReadinessGate {
  conditionType: string;
}

/** core.v1.PodResourceClaim */
export interface PodResourceClaim {
  name: string;
  resourceClaimName?: string;
  resourceClaimTemplateName?: string;
}

/** core.v1.PodResourceClaimStatus */
export interface PodResourceClaimStatus {
  name: string;
  resourceClaimName?: string;
}

/** core.v1.PodSchedulingGate */
export interface PodSchedulingGate {
  name: string;
}

/** core.v1.PodSchedulingGroup */
export interface PodSchedulingGroup {
  podGroupName?: string;
}

/** core.v1.PodSecurityContext */
export interface PodSecurityContext {
  appArmorProfile?: AppArmorProfile;
  fsGroup?: number;
  fsGroupChangePolicy?: "OnRootMismatch" | "Always";
  runAsGroup?: number;
  runAsNonRoot?: boolean;
  runAsUser?: number;
  seLinuxChangePolicy?: string;
  seLinuxOptions?: SELinuxOptions;
  seccompProfile?: SeccompProfile;
  supplementalGroups?: number[];
  supplementalGroupsPolicy?: "Merge" | "Strict";
  sysctls?: Sysctl[];
  windowsOptions?: WindowsSecurityContextOptions;
}

/** core.v1.PodSpec */
export interface PodSpec {
  activeDeadlineSeconds?: number;
  affinity?: Affinity;
  automountServiceAccountToken?: boolean;
  containers: Container[];
  dnsConfig?: PodDNSConfig;
  dnsPolicy?: "ClusterFirstWithHostNet" | "ClusterFirst" | "Default" | "None";
  enableServiceLinks?: boolean;
  ephemeralContainers?: EphemeralContainer[];
  hostAliases?: HostAlias[];
  hostIPC?: boolean;
  hostNetwork?: boolean;
  hostPID?: boolean;
  hostUsers?: boolean;
  hostname?: string;
  hostnameOverride?: string;
  imagePullSecrets?: LocalObjectReference[];
  initContainers?: Container[];
  nodeName?: string;
  nodeSelector?: Record<string, string>;
  os?: PodOS;
  overhead?: Record<string, string>;
  preemptionPolicy?: "PreemptLowerPriority" | "Never";
  priority?: number;
  priorityClassName?: string;
  readinessGates?: PodReadinessGate[];
  resourceClaims?: PodResourceClaim[];
  resources?: ResourceRequirements;
  restartPolicy?: "Always" | "OnFailure" | "Never";
  runtimeClassName?: string;
  schedulerName?: string;
  schedulingGates?: PodSchedulingGate[];
  schedulingGroup?: PodSchedulingGroup;
  securityContext?: PodSecurityContext;
  serviceAccount?: string;
  serviceAccountName?: string;
  setHostnameAsFQDN?: boolean;
  shareProcessNamespace?: boolean;
  subdomain?: string;
  terminationGracePeriodSeconds?: number;
  tolerations?: Toleration[];
  topologySpreadConstraints?: TopologySpreadConstraint[];
  volumes?: Volume[];
}

/** core.v1.PodStatus */
export interface PodStatus {
  allocatedResources?: Record<string, string>;
  conditions?: PodCondition[];
  containerStatuses?: ContainerStatus[];
  ephemeralContainerStatuses?: ContainerStatus[];
  extendedResourceClaimStatus?: PodExtendedResourceClaimStatus;
  hostIP?: string;
  hostIPs?: HostIP[];
  initContainerStatuses?: ContainerStatus[];
  message?: string;
  nodeAllocatableResourceClaimStatuses?: NodeAllocatableResourceClaimStatus[];
  nominatedNodeName?: string;
  observedGeneration?: number;
  phase?: "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown";
  podIP?: string;
  podIPs?: PodIP[];
  qosClass?: "Guaranteed" | "Burstable" | "BestEffort";
  reason?: string;
  resize?: string;
  resourceClaimStatuses?: PodResourceClaimStatus[];
  resources?: ResourceRequirements;
  startTime?: string;
}

/** core.v1.PodTemplate */
export interface PodTemplate {
  apiVersion: "v1";
  kind: "PodTemplate";
  metadata: ObjectMeta;
  template?: PodTemplateSpec;
}

/** core.v1.PodTemplateSpec */
export interface PodTemplateSpec {
  metadata?: ObjectMeta;
  spec?: PodSpec;
}

/** core.v1.PortworxVolumeSource */
export interface PortworxVolumeSource {
  fsType?: string;
  readOnly?: boolean;
  volumeID: string;
}

/** meta.v1.Preconditions */
export interface Preconditions {
  resourceVersion?: string;
  uid?: string;
}

/** core.v1.PreferredSchedulingTerm */
export interface PreferredSchedulingTerm {
  preference: NodeSelectorTerm;
  weight: number;
}

/** core.v1.Probe */
export interface Probe {
  exec?: ExecAction;
  failureThreshold?: number;
  grpc?: GRPCAction;
  httpGet?: HTTPGetAction;
  initialDelaySeconds?: number;
  periodSeconds?: number;
  successThreshold?: number;
  tcpSocket?: TCPSocketAction;
  terminationGracePeriodSeconds?: number;
  timeoutSeconds?: number;
}

/** core.v1.ProjectedVolumeSource */
export interface ProjectedVolumeSource {
  defaultMode?: number;
  sources?: VolumeProjection[];
}

/** core.v1.QuobyteVolumeSource */
export interface QuobyteVolumeSource {
  group?: string;
  readOnly?: boolean;
  registry: string;
  tenant?: string;
  user?: string;
  volume: string;
}

/** core.v1.RBDVolumeSource */
export interface RBDVolumeSource {
  fsType?: string;
  image: string;
  keyring?: string;
  monitors: string[];
  pool?: string;
  readOnly?: boolean;
  secretRef?: LocalObjectReference;
  user?: string;
}

/** core.v1.ResourceClaim */
export interface ResourceClaim {
  name: string;
  request?: string;
}

/** core.v1.ResourceFieldSelector */
export interface ResourceFieldSelector {
  containerName?: string;
  divisor?: string;
  resource: string;
}

/** core.v1.ResourceHealth */
export interface ResourceHealth {
  health?: string;
  message?: string;
  resourceID: string;
}

/** core.v1.ResourceRequirements */
export interface ResourceRequirements {
  claims?: ResourceClaim[];
  limits?: Record<string, string>;
  requests?: Record<string, string>;
}

/** core.v1.ResourceStatus */
export interface ResourceStatus {
  name: string;
  resources?: ResourceHealth[];
}

/** core.v1.SELinuxOptions */
export interface SELinuxOptions {
  level?: string;
  role?: string;
  type?: string;
  user?: string;
}

/** core.v1.ScaleIOVolumeSource */
export interface ScaleIOVolumeSource {
  fsType?: string;
  gateway: string;
  protectionDomain?: string;
  readOnly?: boolean;
  secretRef: LocalObjectReference;
  sslEnabled?: boolean;
  storageMode?: string;
  storagePool?: string;
  system: string;
  volumeName?: string;
}

/** core.v1.SeccompProfile */
export interface SeccompProfile {
  localhostProfile?: string;
  type: "Unconfined" | "RuntimeDefault" | "Localhost";
}

/** core.v1.Secret */
export interface Secret {
  apiVersion: "v1";
  data?: Record<string, string>;
  immutable?: boolean;
  kind: "Secret";
  metadata: ObjectMeta;
  stringData?: Record<string, string>;
  type?: string;
}

/** core.v1.SecretEnvSource */
export interface SecretEnvSource {
  name?: string;
  optional?: boolean;
}

/** core.v1.SecretKeySelector */
export interface SecretKeySelector {
  key: string;
  name?: string;
  optional?: boolean;
}

/** core.v1.SecretProjection */
export interface SecretProjection {
  items?: KeyToPath[];
  name?: string;
  optional?: boolean;
}

/** core.v1.SecretVolumeSource */
export interface SecretVolumeSource {
  defaultMode?: number;
  items?: KeyToPath[];
  optional?: boolean;
  secretName?: string;
}

/** core.v1.SecurityContext */
export interface SecurityContext {
  allowPrivilegeEscalation?: boolean;
  appArmorProfile?: AppArmorProfile;
  capabilities?: Capabilities;
  privileged?: boolean;
  procMount?: "Default" | "Unmasked";
  readOnlyRootFilesystem?: boolean;
  runAsGroup?: number;
  runAsNonRoot?: boolean;
  runAsUser?: number;
  seLinuxOptions?: SELinuxOptions;
  seccompProfile?: SeccompProfile;
  windowsOptions?: WindowsSecurityContextOptions;
}

/** meta.v1.ServerAddressByClientCIDR */
export interface ServerAddressByClientCIDR {
  clientCIDR: string;
  serverAddress: string;
}

/** core.v1.ServiceAccount */
export interface ServiceAccount {
  apiVersion: "v1";
  automountServiceAccountToken?: boolean;
  imagePullSecrets?: LocalObjectReference[];
  kind: "ServiceAccount";
  metadata: ObjectMeta;
  secrets?: ObjectReference[];
}

/** core.v1.ServiceAccountTokenProjection */
export interface ServiceAccountTokenProjection {
  audience?: string;
  expirationSeconds?: number;
  path: string;
}

/** meta.v1.ShardInfo */
export interface ShardInfo {
  selector: string;
}

/** core.v1.SleepAction */
export interface SleepAction {
  seconds: number;
}

/** meta.v1.Status */
export interface Status {
  apiVersion: "v1";
  code?: number;
  details?: StatusDetails;
  kind: "Status";
  message?: string;
  metadata: ListMeta;
  reason?: string;
  status?: string;
}

/** meta.v1.StatusCause */
export interface StatusCause {
  field?: string;
  message?: string;
  reason?: string;
}

/** meta.v1.StatusDetails */
export interface StatusDetails {
  causes?: StatusCause[];
  group?: string;
  kind?: string;
  name?: string;
  retryAfterSeconds?: number;
  uid?: string;
}

/** core.v1.StorageOSVolumeSource */
export interface StorageOSVolumeSource {
  fsType?: string;
  readOnly?: boolean;
  secretRef?: LocalObjectReference;
  volumeName?: string;
  volumeNamespace?: string;
}

/** core.v1.Sysctl */
export interface Sysctl {
  name: string;
  value: string;
}

/** core.v1.TCPSocketAction */
export interface TCPSocketAction {
  host?: string;
  port: number | string;
}

/** meta.v1.Table */
export interface Table {
  apiVersion: "meta.k8s.io/v1";
  columnDefinitions: TableColumnDefinition[];
  kind: "Table";
  metadata: ListMeta;
  rows: TableRow[];
}

/** meta.v1.TableColumnDefinition */
export interface TableColumnDefinition {
  description: string;
  format: string;
  name: string;
  priority: number;
  type: string;
}

/** meta.v1.TableRow */
export interface TableRow {
  cells: unknown[];
  conditions?: TableRowCondition[];
  object?: unknown;
}

/** meta.v1.TableRowCondition */
export interface TableRowCondition {
  message?: string;
  reason?: string;
  status: string;
  type: string;
}

/** core.v1.Taint */
export interface Taint {
  effect: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
  key: string;
  timeAdded?: string;
  value?: string;
}

/** core.v1.Toleration */
export interface Toleration {
  effect?: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
  key?: string;
  operator?: "Exists" | "Equal" | "Lt" | "Gt";
  tolerationSeconds?: number;
  value?: string;
}

/** core.v1.TopologySpreadConstraint */
export interface TopologySpreadConstraint {
  labelSelector?: LabelSelector;
  matchLabelKeys?: string[];
  maxSkew: number;
  minDomains?: number;
  nodeAffinityPolicy?: "Ignore" | "Honor";
  nodeTaintsPolicy?: "Ignore" | "Honor";
  topologyKey: string;
  whenUnsatisfiable: "DoNotSchedule" | "ScheduleAnyway";
}

/** core.v1.TypedLocalObjectReference */
export interface TypedLocalObjectReference {
  apiGroup?: string;
  kind: string;
  name: string;
}

/** core.v1.TypedObjectReference */
export interface TypedObjectReference {
  apiGroup?: string;
  kind: string;
  name: string;
  namespace?: string;
}

/** core.v1.Volume */
export interface Volume {
  awsElasticBlockStore?: AWSElasticBlockStoreVolumeSource;
  azureDisk?: AzureDiskVolumeSource;
  azureFile?: AzureFileVolumeSource;
  cephfs?: CephFSVolumeSource;
  cinder?: CinderVolumeSource;
  configMap?: ConfigMapVolumeSource;
  csi?: CSIVolumeSource;
  downwardAPI?: DownwardAPIVolumeSource;
  emptyDir?: EmptyDirVolumeSource;
  ephemeral?: EphemeralVolumeSource;
  fc?: FCVolumeSource;
  flexVolume?: FlexVolumeSource;
  flocker?: FlockerVolumeSource;
  gcePersistentDisk?: GCEPersistentDiskVolumeSource;
  gitRepo?: GitRepoVolumeSource;
  glusterfs?: GlusterfsVolumeSource;
  hostPath?: HostPathVolumeSource;
  image?: ImageVolumeSource;
  iscsi?: ISCSIVolumeSource;
  name: string;
  nfs?: NFSVolumeSource;
  persistentVolumeClaim?: PersistentVolumeClaimVolumeSource;
  photonPersistentDisk?: PhotonPersistentDiskVolumeSource;
  portworxVolume?: PortworxVolumeSource;
  projected?: ProjectedVolumeSource;
  quobyte?: QuobyteVolumeSource;
  rbd?: RBDVolumeSource;
  scaleIO?: ScaleIOVolumeSource;
  secret?: SecretVolumeSource;
  storageos?: StorageOSVolumeSource;
  vsphereVolume?: VsphereVirtualDiskVolumeSource;
}

/** core.v1.VolumeDevice */
export interface VolumeDevice {
  devicePath: string;
  name: string;
}

/** core.v1.VolumeMount */
export interface VolumeMount {
  mountPath: string;
  mountPropagation?: "None" | "HostToContainer" | "Bidirectional";
  name: string;
  readOnly?: boolean;
  recursiveReadOnly?: string;
  subPath?: string;
  subPathExpr?: string;
}

/** core.v1.VolumeMountStatus */
export interface VolumeMountStatus {
  mountPath: string;
  name: string;
  readOnly?: boolean;
  recursiveReadOnly?: string;
  volumeStatus?: VolumeStatus;
}

/** core.v1.VolumeProjection */
export interface VolumeProjection {
  clusterTrustBundle?: ClusterTrustBundleProjection;
  configMap?: ConfigMapProjection;
  downwardAPI?: DownwardAPIProjection;
  podCertificate?: PodCertificateProjection;
  secret?: SecretProjection;
  serviceAccountToken?: ServiceAccountTokenProjection;
}

/** core.v1.VolumeResourceRequirements */
export interface VolumeResourceRequirements {
  limits?: Record<string, string>;
  requests?: Record<string, string>;
}

/** core.v1.VolumeStatus */
export interface VolumeStatus {
  image?: ImageVolumeStatus;
}

/** core.v1.VsphereVirtualDiskVolumeSource */
export interface VsphereVirtualDiskVolumeSource {
  fsType?: string;
  storagePolicyID?: string;
  storagePolicyName?: string;
  volumePath: string;
}

/** core.v1.WeightedPodAffinityTerm */
export interface WeightedPodAffinityTerm {
  podAffinityTerm: PodAffinityTerm;
  weight: number;
}

/** core.v1.WindowsSecurityContextOptions */
export interface WindowsSecurityContextOptions {
  gmsaCredentialSpec?: string;
  gmsaCredentialSpecName?: string;
  hostProcess?: boolean;
  runAsUserName?: string;
}
