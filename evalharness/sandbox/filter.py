"""A processor architecture in, the kernel's filter of system calls out: what a program in the sandbox has no use for.

Refused are the calls that would keep memory outside the limits of a process (memfd, System V shared memory, message
queues, keyrings), make namespaces, mounts, or sockets that no namespace holds, look into other processes, or change the
limits and the priority of others.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator

# Numbers of Linux's system calls: (x86_64, aarch64).
REFUSED = {
    "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "shmget": (29, 194), "shmat": (30, 196), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsmount": (432, 432),
    "mount_setattr": (442, 442), "open_by_handle_at": (304, 265),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438),
    "setpriority": (141, 140), "ioprio_set": (251, 30), "sched_setscheduler": (144, 119), "sched_setparam": (142, 118),
    "sched_setattr": (314, 274), "sched_setaffinity": (203, 122),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "kexec_load": (246, 104), "init_module": (175, 105), "finit_module": (313, 273),
}  # fmt: skip
CLONE, CLONE3, PRLIMIT, SOCKET = (56, 220), (435, 435), (302, 261), (41, 198)
FAMILIES = (
    1,
    2,
    10,
    16,
)  # of sockets that a network namespace holds: UNIX, INET, INET6, NETLINK; VSOCK leads out of it
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, AUDIT_ARCH

_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET
_X32 = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


def filter_for(machine: str) -> bytes | None:
    """Return the filter as ``bwrap --seccomp`` reads it (classic BPF); ``None`` where the calls' numbers are not known."""
    if machine not in ARCHITECTURES:
        return None
    column, architecture = ARCHITECTURES[machine]
    return b"".join(struct.pack("=HBBI", *step) for step in _steps(column, architecture))


def _steps(column: int, architecture: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (operation, steps to skip if true, if false, operand)."""
    refuse = (_RETURN, 0, 0, _REFUSE | errno.EPERM)
    yield (_LOAD, 0, 0, _ARCHITECTURE)
    yield (_EQUAL, 1, 0, architecture)  # calls of another architecture (32 bit) have other numbers
    yield (_RETURN, 0, 0, _KILL)
    yield (_LOAD, 0, 0, _NUMBER)
    yield (_AT_LEAST, 0, 1, _X32)
    yield refuse
    for numbers in REFUSED.values():
        yield (_EQUAL, 0, 1, numbers[column])
        yield refuse
    yield (
        _EQUAL,
        0,
        1,
        CLONE3[column],
    )  # its flags lie in memory; told that there is no such call, libraries use clone
    yield (_RETURN, 0, 0, _REFUSE | errno.ENOSYS)
    yield (_EQUAL, 0, 4, CLONE[column])
    yield (_LOAD, 0, 0, _FIRST_ARGUMENT)
    yield (_ANY_BIT, 0, 1, _NEW_NAMESPACES)
    yield refuse
    yield (_RETURN, 0, 0, _ALLOW)
    yield (_EQUAL, 0, len(FAMILIES) + 3, SOCKET[column])
    yield (_LOAD, 0, 0, _FIRST_ARGUMENT)
    for left, family in zip(range(len(FAMILIES), 0, -1), FAMILIES, strict=True):
        yield (_EQUAL, left, 0, family)
    yield (_RETURN, 0, 0, _REFUSE | errno.EAFNOSUPPORT)
    yield (_RETURN, 0, 0, _ALLOW)
    yield (_EQUAL, 0, 4, PRLIMIT[column])
    yield (_LOAD, 0, 0, _FIRST_ARGUMENT)
    yield (_EQUAL, 1, 0, 0)  # of the caller itself
    yield refuse
    yield (_RETURN, 0, 0, _ALLOW)
    yield (_RETURN, 0, 0, _ALLOW)
