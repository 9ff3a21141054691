import Testing

/// Every test against real servers, one after the other: several PostgreSQL servers at once do not fit two cores,
/// and what the tests measure is time.
@Suite(.serialized, .timeLimit(.minutes(5)))
enum RealServers {}
