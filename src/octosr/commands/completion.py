"""Completion of ``octosr`` in bash: verbs, then what Hydra offers for the verb (groups, their choices, keys, values).

Hydra's own script knows one configuration per executable. This one takes the verb out of the line and asks the verb.
"""

from __future__ import annotations

from octosr.commands import VERBS

_SCRIPT = r"""_octosr_complete()
{
    local line="${COMP_LINE:0:COMP_POINT}" words word verb rest choices
    COMPREPLY=()
    read -ra words <<< "$line"
    word=""
    [[ "$line" == *[[:space:]] ]] || word="${words[-1]}"
    if (( ${#words[@]} < 2 )) || { (( ${#words[@]} == 2 )) && [[ -n "$word" ]]; }; then
        COMPREPLY=($(compgen -W "@VERBS@" -- "$word"))
        (( ${#COMPREPLY[@]} == 1 )) && COMPREPLY[0]+=" "
        return
    fi
    verb="${words[1]}"
    [[ " @VERBS@ " == *" $verb "* ]] || return
    rest="${line#*"${words[0]}"}"
    rest="${rest#*"$verb"}"
    choices="$(COMP_LINE="octosr $rest" "${words[0]}" "$verb" -sc query=bash 2> /dev/null)"
    COMPREPLY=($(compgen -o default -W "$choices" -- "$word"))
}
COMP_WORDBREAKS="${COMP_WORDBREAKS//=}"
complete -o nospace -F _octosr_complete octosr
"""


def install() -> str:
    """What ``eval "$(octosr -sc install=bash)"`` evaluates.

    >>> "train eval prepare" in install()
    True
    """
    return _SCRIPT.replace("@VERBS@", " ".join(VERBS))


def uninstall() -> str:
    """What ``eval "$(octosr -sc uninstall=bash)"`` evaluates."""
    return "complete -r octosr\nunset -f _octosr_complete\n"
