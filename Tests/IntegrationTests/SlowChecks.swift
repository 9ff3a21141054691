import Testing

/// What takes a browser, a Prometheus or a systemd to check: minutes, and packages of hundreds of megabytes. Run by
/// `Tests/run --slow` and `--full`, one after the other like everything on real servers.
@Suite(.serialized, .timeLimit(.minutes(15)))
enum SlowChecks {}
