"""The worker that makes chunks: workdir, loop, runner."""
