"""The example project that `mlvc demo` works on, in ``project/``. It knows nothing of mlvc and imports none of it."""
