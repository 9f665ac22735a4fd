from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    name = "flowforge.projects"
    label = "projects"
    verbose_name = "Projects"
