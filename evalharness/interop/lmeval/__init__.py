"""Task files of lm-evaluation-harness in, task and suite files of our own out; none of their code is run."""
