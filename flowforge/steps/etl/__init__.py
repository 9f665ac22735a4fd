"""The step type `etl`: rows from one place to another, changed on the way."""
