"""Lake projects: what lakefiles and manifests say, and Lake itself."""
