/** The node's pod network: a bridge, an address for each pod, published ports; all of it in names of the engine's own. */
export interface PodNetwork {
  /** The node's address on the bridge: what a pod sees as status.hostIP, and its gateway. */
  readonly hostIP: string;
  readonly podCIDR: string;
  /** The pod's address, reserved on disk until `detach`. Repeating it gives the same. Throws NO_FREE_ADDRESS. */
  reserve(podUid: string, signal: AbortSignal): Promise<PodAddress>;
  /**
   * Connects a network namespace: loopback up, eth0 with the reserved address, default route, published ports.
   * Repeating it on a connected one changes nothing. Throws NETWORK_FAILED, or HOST_PORT_BUSY naming port and holder.
   */
  attach(podUid: string, netnsPath: string, ports: readonly PortMapping[], signal: AbortSignal): Promise<PodAddress>;
  /** Takes back ports, device and address. Safe to repeat, and with the namespace already gone. */
  detach(podUid: string, signal: AbortSignal): Promise<void>;
  /** The pods that hold an address here, for clearing up after a crash. */
  listPods(): Promise<string[]>;
}

export interface PodAddress {
  readonly ip: string;
  readonly prefixLength: number;
  readonly gateway: string;
}

export interface PortMapping {
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly containerPort: number;
  readonly hostPort: number;
  /** "" is every address of the machine. */
  readonly hostIP: string;
}
