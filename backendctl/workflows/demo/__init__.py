"""`backendctl demo`: the whole main job, on real parts, in a folder of its own."""
