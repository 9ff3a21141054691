import Testing

/// Every test against real servers, one after the other: many PostgreSQL servers at once do not fit two cores, and what the
/// tests measure is time. Tests/run has two processes, each with half of the suites.
@Suite(.serialized, .timeLimit(.minutes(5)))
enum RealServers {}
