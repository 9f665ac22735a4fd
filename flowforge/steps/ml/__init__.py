"""`ml_training`: models from tables, and predictions by them.

What stands in this folder is the server's side and knows no library of machine learning; `runner` is the process that
trains and predicts, and nobody imports it: NumPy, scikit-learn and XGBoost would live in every worker for good.
"""
