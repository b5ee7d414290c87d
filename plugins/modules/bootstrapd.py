#!/usr/bin/python
"""The command bootstrapd as a task: its JSON document is the result."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bootstrapd
short_description: Bring an application's database up, or ask how it is
description:
  - Runs one verb of C(bootstrapd) on the host and returns the document that it prints.
  - The task is changed only if revisions or rows were applied.
  - A failure carries the message, the exit code, the slug of its runbook and the findings.
  - Run it as the account that may read the settings and the state directory (C(become_user)).
options:
  verb:
    description:
      - What to do. C(serve) is the work of a unit, not of a task, and verbs that write files of a
        project are the work of its developers.
    type: str
    choices:
      - adopt
      - healthcheck
      - lint
      - migrate
      - plan
      - rollback
      - run
      - seed
      - settings
      - status
      - validate
      - wait
    default: run
  revision:
    description:
      - The revision to go to, with C(migrate), C(plan), C(lint), C(rollback) and C(adopt); the last
        two cannot do without. With C(wait) the revision to wait for.
    type: str
  app:
    description: The app to bring up (E(BOOTSTRAPD_APP)).
    type: str
  config:
    description: The configuration file (E(BOOTSTRAPD_CONFIG)).
    type: path
  state_dir:
    description: The folder of pin and status file (E(BOOTSTRAPD_STATE_DIR)).
    type: path
  timeout:
    description: Seconds to wait for the servers (E(BOOTSTRAPD_WAIT_TIMEOUT_S)).
    type: float
  settings:
    description:
      - Further settings by the name of their environment variable.
      - Give secrets by file (E(DATABASE_URL_FILE)), or in O(secrets). A password here is refused.
    type: dict
    default: {}
  secrets:
    description:
      - Settings that nobody may see, by the name of their environment variable. They reach the
        command by its environment, never by its arguments, and are hidden in the result.
    type: dict
    default: {}
  executable:
    description: The command, if it is not in the path.
    type: path
    default: bootstrapd
  chdir:
    description: The folder to run in, to which relative paths in settings refer.
    type: path
author:
  - the bootstrapd contributors
attributes:
  check_mode:
    description:
      - Nothing is written. C(run) and C(migrate) tell what is pending, C(rollback) and C(adopt)
        whether there is anything to do; verbs that only read do what they always do.
      - Whether rows of the seeds are missing is not looked up.
      - On a host without the command yet, all that can be said is that there is work to do.
    support: full
  diff_mode:
    description: With C(run) and C(migrate), the SQL of the pending revisions.
    support: full
"""

EXAMPLES = r"""
- name: The database is migrated, proven and seeded
  bootstrapd.database.bootstrapd:
    app: shop
    config: /etc/bootstrapd/bootstrapd.toml
    state_dir: /var/lib/bootstrapd/shop
    settings:
      DATABASE_URL_FILE: /etc/bootstrapd/shop/database_url
  become: true
  become_user: bootstrapd

- name: The schema is what this release makes of it
  bootstrapd.database.bootstrapd:
    verb: validate
    app: shop
    secrets:
      DATABASE_URL: "{{ shop_database_url }}"

- name: The last revision is taken back
  bootstrapd.database.bootstrapd:
    verb: rollback
    revision: "0004"
    app: shop
    settings:
      POSTGRES_HOST: db.example.org
      POSTGRES_PASSWORD_FILE: /run/secrets/shop
"""

RETURN = r"""
verb:
  description: What was asked for.
  returned: always
  type: str
  sample: run
exit_code:
  description: The exit code of the command; negative where a signal ended it.
  returned: when the command was run
  type: int
  sample: 0
document:
  description: The document that the command printed.
  returned: when the command printed one
  type: dict
  sample: {"ok": true, "verb": "run", "exit_code": 0, "changed": true}
narration:
  description: What the command said while it worked, a line each.
  returned: when the command was run
  type: list
  elements: str
slug:
  description: The kind of failure, which is the name of its runbook.
  returned: on failure, when the command told one
  type: str
  sample: drift
runbook:
  description: What to do about the failure, a file of this collection.
  returned: on failure, when the command told its kind
  type: str
  sample: playbooks/runbooks/drift.md
findings:
  description: The differences and flaws that were found, with the SQL that mends each.
  returned: on failure
  type: list
  elements: dict
"""

import json
import os
import re
from pathlib import Path
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule

ASKS = ("healthcheck", "lint", "plan", "settings", "status", "validate", "wait")
# What a verb that writes would do is told, in check mode, by one that only reads.
TOLD_BY = {"adopt": "status", "migrate": "plan", "rollback": "status", "run": "plan"}
WITH_REVISION = ("adopt", "lint", "migrate", "plan", "rollback", "wait")
_WITH_PASSWORD = re.compile(r"://[^/@]*:[^@]*@")

ARGUMENTS: dict[str, dict[str, Any]] = {
    "verb": {"type": "str", "default": "run", "choices": sorted((*ASKS, *TOLD_BY, "seed"))},
    "revision": {"type": "str"},
    "app": {"type": "str"},
    "config": {"type": "path"},
    "state_dir": {"type": "path"},
    "timeout": {"type": "float"},
    "settings": {"type": "dict", "default": {}},
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "executable": {"type": "path", "default": "bootstrapd"},
    "chdir": {"type": "path"},
}


class Command:
    """The command on this host, with the settings of the task in its environment."""

    def __init__(self, module: AnsibleModule, path: str) -> None:
        self._module = module
        self._path = path
        self._environment = environment(module)

    def ask(self, verb: str, revision: str | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """The document of a verb, and the result with it; the task fails where the verb does."""
        argv = [self._path, verb, "--json"]
        if revision:
            argv += ["--revision", revision] if verb == "wait" else ["--", revision]
        code, out, told = self._module.run_command(
            argv,
            environ_update=self._environment,
            cwd=self._module.params["chdir"],
            handle_exceptions=False,
        )
        result: dict[str, Any] = {"exit_code": code, "narration": told.splitlines()}
        try:
            document = result["document"] = json.loads(out)
        except ValueError:
            ended = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            last = ((told or out).strip() or "it said nothing").splitlines()[-1]
            fail(self._module, f"{self._path} {verb} {ended}, without a document: {last}", **result)
        if not document["ok"]:
            failed(self._module, verb, result)
        return document, result


def failed(module: AnsibleModule, verb: str, result: dict[str, Any]) -> NoReturn:
    """End the task as the verb ended."""
    document = result["document"]
    error = document.get("error")
    if error is None:  # healthcheck has a reason, and no runbook
        fail(module, f"bootstrapd {verb}: not ready: {document['reason']}", **result)
    code, slug = document["exit_code"], error["runbook"]
    fail(
        module,
        f"bootstrapd {verb}: {error['message']} (exit code {code}, runbook: {slug})",
        changed=document["changed"],
        slug=slug,
        runbook=f"playbooks/runbooks/{slug}.md",
        findings=error.get("findings", []),
        **result,
    )


def fail(module: AnsibleModule, message: str, **result: Any) -> NoReturn:
    """End the task with this message."""
    module.fail_json(msg=message, verb=module.params["verb"], **{"findings": [], **result})
    raise AssertionError("fail_json returned")


def environment(module: AnsibleModule) -> dict[str, str]:
    """The settings of the task by their variables; a password among the open ones is refused."""
    params = module.params
    named = {
        "BOOTSTRAPD_APP": params["app"],
        "BOOTSTRAPD_CONFIG": params["config"],
        "BOOTSTRAPD_STATE_DIR": params["state_dir"],
        "BOOTSTRAPD_WAIT_TIMEOUT_S": params["timeout"],
    }
    given = {name: str(value) for name, value in named.items() if value is not None}
    problems = []
    for option in ("settings", "secrets"):
        for name, value in params[option].items():
            text = str(value)
            if name in given:
                problems.append(f"{name} is given twice, the second time in {option}; give it once")
            elif option == "settings" and (
                name.endswith("PASSWORD") or _WITH_PASSWORD.search(text)
            ):
                module.no_log_values.add(text)
                problems.append(f"{name} holds a password; give it in secrets, or as {name}_FILE")
            given[name] = text
    if problems:
        count = f"{len(problems)} problem{'s' * (len(problems) != 1)}"
        fail(module, "\n  ".join([f"settings of the task: {count}", *problems]))
    return given


def look(command: Command, verb: str, revision: str | None) -> dict[str, Any]:
    """What a verb that writes would do: whether anything, and the SQL where that can be told."""
    if TOLD_BY[verb] == "plan":
        plan, result = command.ask("plan", revision)
        diff = {
            "before_header": f"at {', '.join(plan['current']) or 'base'}",
            "after_header": f"at {', '.join(plan['heads']) or 'base'}",
            "before": "",
            "after": plan["sql"],
        }
        return {**result, "changed": bool(plan["pending"]), "diff": diff}
    status, result = command.ask("status")
    if verb == "adopt":
        return {**result, "changed": status["state"] == "unmanaged"}
    return {**result, "changed": status["current"] != [revision] * (revision != "base")}


def find(module: AnsibleModule) -> str:
    """The path of the command; in check mode a host may be without it still."""
    wanted: str = module.params["executable"]
    path = wanted if Path(wanted).is_absolute() else module.get_bin_path(wanted)
    if path is not None and os.access(path, os.X_OK):
        return str(path)
    missing = f"wanted the command bootstrapd, found no program {wanted!r}"
    if module.check_mode and module.params["verb"] not in ASKS:
        module.exit_json(changed=True, msg=f"{missing}; it is still to be installed")
    fail(module, f"{missing}; install it, or name it in executable")


def main() -> None:
    """Run the verb."""
    module = AnsibleModule(
        ARGUMENTS,
        required_if=[("verb", "rollback", ["revision"]), ("verb", "adopt", ["revision"])],
        supports_check_mode=True,
    )
    verb, revision = module.params["verb"], module.params["revision"]
    if revision and verb not in WITH_REVISION:
        fail(module, f"{verb} takes no revision, found {revision!r}; leave it out")
    command = Command(module, find(module))
    if module.check_mode and verb == "seed":
        module.exit_json(changed=False, skipped=True, msg="in check mode seeds are not looked up")
    told_by = TOLD_BY.get(verb)
    seen: dict[str, Any] = {}
    if told_by and (module.check_mode or (module._diff and told_by == "plan")):
        seen = look(command, verb, revision)
        if module.check_mode:
            module.exit_json(verb=verb, **seen)
    document, result = command.ask(verb, revision)
    diff = {"diff": seen["diff"]} if seen else {}
    module.exit_json(verb=verb, changed=document["changed"], **result, **diff)


if __name__ == "__main__":
    main()
