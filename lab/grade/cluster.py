"""Touches the network: a class that outgrows one machine is marked by the workers of a Dask cluster.

A worker is sent the files of a submission that count, with the bounds that they are read with here, and marks them as
the pool does (`lab/grade/apart.py`). It needs the lab, the same one, and none of the class's files. Where a worker is
lost, what it had not handed back is marked by another.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from itertools import islice
from typing import Any

from lab.errors import MachineError
from lab.grade import collected, kept, worker
from lab.grade.apart import Marker, Order
from lab.grade.collected import HandedIn, Parcel
from lab.text import Text

_PATIENCE = 15  # seconds for which a scheduler, and its first worker, may not answer
_AHEAD = 3  # submissions that each of a worker's threads has waiting: more would be held here for nothing
_LOST = Text("the workers that were to mark it were lost, one after the other", "负责评阅它的工作进程相继失联")
_OTHER_RELEASE = "other release"
_here = threading.local()


def each_marked(
    handed_in: Sequence[HandedIn], order: Order, scheduler: str
) -> Iterator[tuple[HandedIn, dict[str, Any]]]:
    """Yields each submission with its result, as soon as it is there. Raises MachineError where there is no cluster,
    or none any more, or one whose lab is another."""
    try:
        import distributed
    except ImportError:
        raise MachineError(
            Text("Dask is not installed, so there is no cluster", "没有安装 Dask，无法使用集群"),
            Text("pip install distributed, or leave out --scheduler", "pip install distributed，或去掉 --scheduler"),
        ) from None
    _quiet()
    try:
        client = distributed.Client(scheduler, timeout=_PATIENCE, set_as_default=False)
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        raise _nobody(scheduler) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_PATIENCE)
        except (OSError, TimeoutError) as error:
            raise MachineError(
                Text(f"the scheduler {scheduler} has no workers", f"调度器 {scheduler} 没有工作进程"),
                Text(f"start some: dask worker {scheduler}", f"请启动：dask worker {scheduler}"),
            ) from error
        threads = sum(client.nthreads().values())
        waiting = iter(handed_in)

        def submitted(each: HandedIn) -> Any:
            future = client.submit(mark_there, collected.packed(each), order, pure=False)
            future.handed_in = each
            return future

        try:
            first = [submitted(each) for each in islice(waiting, threads * _AHEAD)]
            futures = distributed.as_completed(first, loop=client.loop)
            for future in futures:
                yield future.handed_in, _result(future, scheduler)
                for each in islice(waiting, 1):
                    futures.add(submitted(each))
        except (OSError, RuntimeError, CancelledError) as error:  # it is gone in the middle of something
            raise _nobody(scheduler) from error


def _quiet() -> None:
    """Has Dask say nothing of its own: what goes wrong is an error of two lines."""
    for name in logging.root.manager.loggerDict:
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module="distributed")


def mark_there(parcel: Parcel, order: Order) -> dict[str, Any]:
    """Marks a submission, on a worker: in a process that this thread keeps for the next."""
    if json.loads(order.said)["release"] != kept.release():
        return {_OTHER_RELEASE: kept.release()}
    marker: Marker | None = getattr(_here, "marker", None)
    if marker is None or marker.order != order or marker.ended:
        if marker is not None:
            marker.close()
        marker = _here.marker = Marker(order)
    return marker.marked(parcel)


def _result(future: Any, scheduler: str) -> dict[str, Any]:
    if future.status == "cancelled":
        raise _nobody(scheduler)
    error = future.exception()
    if error is not None:
        if type(error).__name__ == "KilledWorker":
            return worker.unfinished(_LOST)
        raise MachineError(
            Text(f"a worker can't mark: {type(error).__name__}", f"工作进程无法评阅：{type(error).__name__}"),
            Text("the lab has to be installed where workers run", "工作进程所在之处必须装有实验室"),
        ) from error
    found: dict[str, Any] = future.result()
    with contextlib.suppress(AttributeError):
        future.release()
    if _OTHER_RELEASE in found:
        raise MachineError(
            Text(
                f"a worker has another lab: {found[_OTHER_RELEASE]}, not {kept.release()}",
                f"工作进程的实验室版本不同：{found[_OTHER_RELEASE]}，而非 {kept.release()}",
            ),
            Text("install the same one on all machines", "请在所有机器上安装同一版本"),
        )
    return found


def _nobody(scheduler: str) -> MachineError:
    return MachineError(
        Text(f"no scheduler answers at {scheduler}", f"{scheduler} 没有调度器应答"),
        Text(
            "start one with `dask scheduler`; what was marked before is in the folder of --to",
            "用 `dask scheduler` 启动一个；此前评阅的结果在 --to 的文件夹中",
        ),
    )
