from flowforge.steps.base import BaseStep, Completed


class Shout(BaseStep):
    name = "shout"
    title = "Shout"
    description = "Writes a text in capitals."
    kind = "pure"
    config_schema = {
        "type": "object",
        "required": ["text"],
        "additionalProperties": False,
        "properties": {"text": {"type": "string", "title": "Text"}},
    }
    output_schema = {"type": "string"}

    def run(self, context):
        return Completed(output=context.config["text"].upper())
