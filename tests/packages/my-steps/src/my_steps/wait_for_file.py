from flowforge.core.errors import Fault
from flowforge.steps.base import BaseStep, Completed, Failed, StepCancelled
from flowforge.steps.values import holds_expression


class WaitForFile(BaseStep):
    name = "wait_for_file"
    title = "Wait for a file"
    description = "Waits until a file is in the operator's folder."
    kind = "effect"
    default_timeout_seconds = 3600.0
    config_schema = {
        "type": "object",
        "required": ["path"],
        "additionalProperties": False,
        "properties": {
            "path": {"type": "string", "minLength": 1, "title": "Path", "description": "Below the first file root."},
            "every": {"type": "number", "exclusiveMinimum": 0, "default": 1, "title": "Look every (seconds)"},
        },
    }
    output_schema = {
        "type": "object",
        "required": ["size"],
        "properties": {"size": {"type": "integer", "description": "Bytes."}},
    }

    def check(self, config):
        if not holds_expression(config["path"]) and config["path"].startswith("/"):
            return [Fault(pointer="/path", code="absolute_path", detail="the path is relative")]
        return []

    def run(self, context):
        root = context.settings.file_roots[0].resolve()
        path = (root / context.config["path"]).resolve()
        if not path.is_relative_to(root):
            return Failed(code="path_refused", message="The path leads out of the folder.", retryable=False)
        context.log("info", f"waiting for {context.config['path']}")
        while not path.is_file():
            if context.cancel.wait(context.config.get("every", 1)):
                raise StepCancelled(context.cancel.reason)
        return Completed(output={"size": path.stat().st_size})
