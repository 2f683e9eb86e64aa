import type { SeccompRule } from "./seccomp.ts";

/** linux/sched.h: NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const NEW_NAMESPACES = 0x7e02_0000;
const AF_VSOCK = 40;
const ENOSYS = 38;

/**
 * What a container may ask of the kernel, everything else fails with EPERM: the profile that containerd gives as RuntimeDefault
 * (contrib/seccomp/seccomp_default.go), less the calls that neither amd64 nor arm64 has. No namespaces and mounts without CAP_SYS_ADMIN, no
 * keyrings (they are not a namespace's) and no io_uring at all.
 */
export const runtimeDefault: readonly SeccompRule[] = [
  // Reading and writing files.
  {
    calls: `open openat openat2 creat close close_range read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek truncate ftruncate fallocate fadvise64 readahead copy_file_range sendfile splice tee vmsplice sync syncfs fsync fdatasync sync_file_range flock cachestat`,
  },
  // Files by name: what they are, links, folders.
  {
    calls: `access faccessat faccessat2 stat lstat fstat newfstatat statx statfs fstatfs statmount listmount chdir fchdir getcwd mkdir mkdirat rmdir mknod mknodat rename renameat renameat2 link linkat symlink symlinkat readlink readlinkat unlink unlinkat getdents getdents64 name_to_handle_at utime utimes utimensat futimesat`,
  },
  // Owners, modes and attributes.
  {
    calls: `chmod fchmod fchmodat fchmodat2 chown fchown fchownat lchown umask getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat listxattr llistxattr flistxattr listxattrat removexattr lremovexattr fremovexattr removexattrat`,
  },
  // Descriptors, and waiting for them.
  {
    calls: `dup dup2 dup3 fcntl ioctl pipe pipe2 poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4 timerfd_create timerfd_gettime timerfd_settime inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark io_setup io_submit io_getevents io_pgetevents io_cancel io_destroy`,
  },
  // Memory.
  {
    calls: `brk mmap mprotect munmap mremap msync madvise mincore mlock mlock2 mlockall munlock munlockall remap_file_pages memfd_create memfd_secret membarrier map_shadow_stack mseal pkey_alloc pkey_free pkey_mprotect process_mrelease`,
  },
  // Processes and threads.
  {
    calls: `fork vfork execve execveat exit exit_group wait4 waitid getpid getppid gettid getpgid getpgrp setpgid getsid setsid prctl getrlimit setrlimit prlimit64 getrusage times set_tid_address set_robust_list get_robust_list set_thread_area get_thread_area rseq pidfd_open pidfd_send_signal restart_syscall uretprobe`,
  },
  // Locks between threads.
  { calls: `futex futex_wait futex_wake futex_waitv futex_requeue` },
  // Signals.
  {
    calls: `kill tkill tgkill rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sigaltstack pause alarm`,
  },
  // Who a process is; the kernel holds these to its capabilities.
  {
    calls: `getuid geteuid getresuid setuid setreuid setresuid setfsuid getgid getegid getresgid setgid setregid setresgid setfsgid getgroups setgroups capget capset`,
  },
  // Giving rights up.
  {
    calls: `seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self lsm_get_self_attr lsm_set_self_attr lsm_list_modules`,
  },
  // Its share of the processor.
  {
    calls: `sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval sched_yield getpriority setpriority ioprio_get ioprio_set getcpu`,
  },
  // Time; setting the clock wants CAP_SYS_TIME.
  {
    calls: `time gettimeofday clock_gettime clock_getres clock_nanosleep nanosleep adjtimex clock_adjtime getitimer setitimer timer_create timer_delete timer_gettime timer_settime timer_getoverrun`,
  },
  // Sockets.
  {
    calls: `socketpair bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg`,
  },
  // System V and POSIX messages, semaphores and shared memory, of the pod's own namespace.
  {
    calls: `msgget msgsnd msgrcv msgctl semget semop semtimedop semctl shmget shmat shmdt shmctl mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr`,
  },
  // The rest.
  { calls: `uname sysinfo getrandom` },
  // A machine's host answers on vsock, past every network policy.
  { calls: "socket", argument: { index: 0, isNot: AF_VSOCK } },
  // Linux, 32-bit addresses, BSD file times or both, and the question which it is.
  ...[0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff].map((is) => ({ calls: "personality", argument: { index: 0, is } })),
  // Before 4.8 a tracer could get around a filter.
  { calls: "ptrace process_vm_readv process_vm_writev", when: { kernel: "4.8" } },
  { calls: "arch_prctl modify_ldt", when: { arch: "x64" } },

  {
    calls: `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount open_tree perf_event_open
      quotactl quotactl_fd setdomainname sethostname setns syslog umount2 unshare`,
    when: { capability: "CAP_SYS_ADMIN" },
  },
  { calls: "clone", argument: { index: 0, without: NEW_NAMESPACES }, when: { noCapability: "CAP_SYS_ADMIN" } },
  // Its flags lie in memory, where no filter sees them: libraries fall back to clone.
  { calls: "clone3", fails: ENOSYS, when: { noCapability: "CAP_SYS_ADMIN" } },
  { calls: "open_by_handle_at", when: { capability: "CAP_DAC_READ_SEARCH" } },
  { calls: "reboot", when: { capability: "CAP_SYS_BOOT" } },
  { calls: "chroot", when: { capability: "CAP_SYS_CHROOT" } },
  { calls: "init_module finit_module delete_module", when: { capability: "CAP_SYS_MODULE" } },
  { calls: "acct", when: { capability: "CAP_SYS_PACCT" } },
  {
    calls: "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    when: { capability: "CAP_SYS_PTRACE" },
  },
  { calls: "iopl ioperm", when: { capability: "CAP_SYS_RAWIO" } },
  { calls: "settimeofday clock_settime", when: { capability: "CAP_SYS_TIME" } },
  { calls: "vhangup", when: { capability: "CAP_SYS_TTY_CONFIG" } },
  { calls: "get_mempolicy mbind set_mempolicy set_mempolicy_home_node", when: { capability: "CAP_SYS_NICE" } },
  { calls: "syslog", when: { capability: "CAP_SYSLOG" } },
  { calls: "bpf", when: { capability: "CAP_BPF" } },
  { calls: "perf_event_open", when: { capability: "CAP_PERFMON" } },
];
