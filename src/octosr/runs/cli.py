"""What stands around every entry point: errors in plain words, with the nearest right name, and exit codes."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from octosr.errors import OctoSRError, disk_message, is_of_the_disk, nearest
from octosr.runs import sweep
from octosr.runs.conf import conf_folder, groups_text
from octosr.runs.metrics_group import metric_names, nearest_metrics, register_metrics

OmegaConf.register_new_resolver("octosr.groups", groups_text, replace=True)  # for the help texts in conf/


def entry_point(
    main: Callable[[], Any], *, metrics_group: bool = True, help_with: Sequence[str] = ()
) -> Callable[[], None]:
    """Wrap a function made by ``hydra.main``: print errors meant for the user without a traceback, exit with 1.

    Bugs keep their traceback. In a sweep the table of all cells is printed at the end, whatever happened.

    Args:
        main: the function.
        metrics_group: whether ``metrics`` is a config group of this command, to which pyiqa's metrics belong. Hydra
            would take a plain setting of that name for the group.
        help_with: settings, one a group, that stand in for those that the user still has to choose where Hydra must
            compose a config only to say what there is: for ``--help`` and for the shell's completion.
    """

    @functools.wraps(main)
    def run() -> None:
        os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # let exceptions come through to here
        asks_for_help = not {"--help", "-h"}.isdisjoint(sys.argv)
        if metrics_group and not (asks_for_help and not any(word.startswith("metrics") for word in sys.argv)):
            register_metrics(conf_folder())  # Hydra takes seconds to list these 130, and no help text shows the list
        if asks_for_help:
            sys.argv[1:] = with_stand_ins(sys.argv[1:], help_with)
        if "COMP_LINE" in os.environ:  # the shell asks what could stand at the end of this line
            os.environ["COMP_LINE"] = " ".join(_completed(os.environ["COMP_LINE"], help_with))
        try:
            main()
        except (OctoSRError, HydraException, OmegaConfBaseException) as error:
            if not sweep.finish():  # in a sweep, the cells' own lines have said it already
                _say(explain(error))
            sys.exit(1)
        except KeyboardInterrupt:
            _say("Ended by Ctrl-C. What was saved before is kept: the same command goes on from there.")
            sys.exit(130)
        except OSError as error:  # of what stands around a cell, e.g. the folder that Hydra makes for a run
            if not is_of_the_disk(error):
                raise
            _say(disk_message(error))
            sys.exit(1)
        except Exception:
            sweep.finish()
            raise
        sys.exit(1 if sweep.finish() else 0)

    return run


def with_stand_ins(arguments: Sequence[str], settings: Sequence[str]) -> list[str]:
    """The arguments after those of the settings whose group they leave open.

    >>> with_stand_ins(["--help"], ["dataset=isaid"])
    ['dataset=isaid', '--help']
    >>> with_stand_ins(["dataset=ships", "--help"], ["dataset=isaid"])
    ['dataset=ships', '--help']
    """
    chosen = {word.partition("=")[0] for word in arguments}
    return [setting for setting in settings if setting.partition("=")[0] not in chosen] + list(arguments)


def _completed(line: str, settings: Sequence[str]) -> list[str]:
    """The words of a line to be completed, with stand-ins; a blank at its end stays, since a new word begins there."""
    program, *rest = line.split(" ")
    return [program, *with_stand_ins(rest, settings)]


def _say(message: str) -> None:
    sys.stderr.write(f"error: {message}\n")


def explain(error: Exception) -> str:
    """The message of an error, with the nearest right key or option where a name in the config is misspelt."""
    message = str(error)
    if not isinstance(error, HydraException):
        return message
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
        if group == "metrics":
            names = ", ".join(metric_names())
            return f"There is no metric '{option}'.{nearest_metrics(option)} Metrics: {names}."
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        hint = nearest(option, error.options)
        options = ", ".join(error.options)
        return f"{group} has no option '{option}'.{hint} Options: {options}."
    unknown = re.search(r"Could not override '([^']+)'", message)
    if unknown:
        key = unknown.group(1).split("@")[0]
        return (
            f"There is no setting '{key}'.{nearest_key(key, _root_of(error.__cause__))} (To add a new one: +{key}=...)"
        )
    return message if error.__cause__ is None else f"{message}\n{error.__cause__}"


def nearest_key(key: str, config: DictConfig | None) -> str:
    """A hint with the nearest dotted key of a config, compared both whole and by its last part."""
    if config is None:
        return ""
    container = OmegaConf.to_container(config, resolve=False)
    keys = [k for k in dotted_keys(container) if k.split(".")[0] != "hydra"]
    hint = nearest(key, keys)
    if hint:
        return hint
    by_leaf: dict[str, list[str]] = {}
    for name in keys:
        by_leaf.setdefault(name.rsplit(".", 1)[-1], []).append(name)
    leaf = nearest(key.rsplit(".", 1)[-1], by_leaf, sentence=False)
    return f" Did you mean {' or '.join(sorted(by_leaf[leaf])[:3])}?" if leaf else ""


def dotted_keys(container: Any, prefix: str = "") -> Iterator[str]:
    """All keys of nested mappings, as they are typed on the command line."""
    if not isinstance(container, dict):
        return
    for key, child in container.items():
        yield f"{prefix}{key}"
        yield from dotted_keys(child, f"{prefix}{key}.")


def _root_of(error: BaseException | None) -> DictConfig | None:
    node = getattr(error, "parent_node", None)
    root = node._get_root() if node is not None else None
    return root if isinstance(root, DictConfig) else None
