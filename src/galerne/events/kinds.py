"""Every kind of entry in the log, and what its data says. The reference of events is made from this.

A change of state has the kind `<noun>.<state>` and the data `from`, `verb` and what the noun adds. The shapes
of decisions are read by the residency proof, also offline: they may gain keys and never lose one.
"""

from collections.abc import Mapping

KINDS: Mapping[str, str] = {
    "organization.*": "An organization was created or changed.",
    "project.created": "A project was created: `name`, `label`.",
    "project.renamed": "A project got another name.",
    "project.label_changed": "A project's residency label was changed, with the one before.",
    "member.*": "A member was added, changed or removed: `role`; never the person's name or address.",
    "api_key.*": "A key was created or revoked: `prefix`, `scopes`; never the secret.",
    "fleet.imported": "A simulated site was brought in or changed: `site`, `nodes` by what became of them.",
    "node.*": "A node was drained, lost or came back: `name`, `site_id`.",
    "lease.*": "Capacity was asked for, held or released: `workload_id`, `unit_id`.",
    "job.submitted": "A job was accepted: `name`, `label`, `nodes`.",
    "job.stop_wanted": "A job's owner asked for its end.",
    "job.output_refused": "An output was kept and not registered: `output`, `as`, `code`, `message`.",
    "job.*": "A job changed its state: `from`, `verb`; with `place`: `site_id`, `nodes`.",
    "deployment.submitted": "A deployment was accepted: `name`, `label`.",
    "deployment.*": "A deployment changed its state: `from`, `verb`.",
    "replica.*": "A replica of a deployment changed its state: `from`, `verb`.",
    "decision.placement": (
        "A workload was given nodes: `label`, `site`, `country`, `operator`, `nodes`, and in `sites`"
        " the verdict on every site: `site`, `country`, `allowed`, `reason`."
    ),
    "decision.network": "A workload was given the open network: `label`, `reason`.",
    "decision.refused": "A flow was refused: `label`, `code`, `reason`, `network`, `sites` as above.",
    "artifact.created": "Files were registered: `digest` of the tree, `files`, `size_bytes`.",
    "dataset.registered": "A version of a dataset: `name`, `version`, `licence`, `label`.",
    "model.registered": "A version of a model: as a dataset's, with `format` and `lineage`.",
}


def describe(kind: str) -> str | None:
    """Return what the kind means; None where nobody has written that down."""
    noun, _, _ = kind.partition(".")
    return KINDS.get(kind) or KINDS.get(f"{noun}.*")
