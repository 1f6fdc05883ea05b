"""A real SLURM on this machine alone: munged, slurmctld and slurmd on the loopback, everything in one folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
_SBIN = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

CONFIG = """
ClusterName=octosr
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
SlurmdParameters=config_overrides
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
KillWait=20
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=study Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Why no cluster can be started here; None if one can."""
    absent = [name for name in (*DAEMONS, "sbatch") if shutil.which(name, path=_SBIN) is None]
    if absent:
        return f"{', '.join(absent)} not installed: apt-get install slurmctld slurmd slurm-client munge"
    if os.geteuid() != 0:
        return "slurmctld and slurmd are started by root only"
    return None


class Cluster:
    """Starts when it is made; ``stop`` ends it.

    Args:
        folder: short, since the path of munge's socket is limited to 107 characters; root's, not writable by others.
        cpus: of the node, for the scheduler; the machine may have fewer.
    """

    def __init__(self, folder: Path, cpus: int) -> None:
        self.folder = folder
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": _SBIN}
        for name in ("state", "spool"):
            (folder / name).mkdir()
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        ports = {"controller_port": _free_port(), "node_port": _free_port()}
        (folder / "slurm.conf").write_text(CONFIG.format(host=socket.gethostname(), folder=folder, cpus=cpus, **ports))
        self._processes: list[subprocess.Popen[bytes]] = []
        munge = {"key-file": key, "socket": folder / "munge.socket", "pid-file": folder / "munge.pid"}
        munge |= {"log-file": folder / "munge.log", "seed-file": folder / "munge.seed"}
        try:
            self._start("munged", "--foreground", "--force", *(f"--{name}={path}" for name, path in munge.items()))
            self._wait_for((folder / "munge.socket").exists, "munged")
            self._start("slurmctld", "-D", "-f", str(folder / "slurm.conf"))
            self._start("slurmd", "-D", "-f", str(folder / "slurm.conf"))
            self._wait_for(lambda: "idle" in self.call("sinfo", "--noheader", check=False), "slurmctld and slurmd")
        except BaseException:
            self.stop()
            raise

    def call(self, *command: str, check: bool = True) -> str:
        """What a SLURM command prints."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0 or not check, (command, done.stderr)
        return done.stdout

    def log(self) -> str:
        """What the controller has written."""
        return (self.folder / "slurmctld.log").read_text()

    def stop(self) -> None:
        """End the daemons, the last one first, and whatever jobs there are."""
        if len(self._processes) == len(DAEMONS):
            self.call("scancel", "--user=root", "--signal=KILL", "--full", check=False)
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, name: str, *arguments: str) -> None:
        program = shutil.which(name, path=_SBIN)
        assert program is not None
        with (self.folder / f"{name}.out").open("wb") as output:
            process = subprocess.Popen([program, *arguments], env=self.environment, stdout=output, stderr=output)
        self._processes.append(process)

    def _wait_for(self, ready: object, name: str, seconds: float = 120.0) -> None:
        assert callable(ready)
        deadline = time.monotonic() + seconds
        while not ready():
            ended = [process.args for process in self._processes if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                outputs = "\n".join(f"{path}: {path.read_text()}" for path in sorted(self.folder.glob("*.out")))
                raise RuntimeError(f"{name} did not start: {ended}\n{outputs}")
            time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
