"""What can be said of FlowForge as it runs: is it healthy?"""
