import Invalidation
import Testing

@testable import PostgresSource

@Suite struct WirePostgresTests {
  @Test func namesAndTextsAreQuotedAsSQLReadsThem() {
    #expect(CatalogSession.quoted(identifier: "Users") == "\"Users\"")
    #expect(CatalogSession.quoted(identifier: "a\"b") == "\"a\"\"b\"")
    #expect(CatalogSession.quoted(literal: "it's") == "'it''s'")
    #expect(CatalogSession.quoted(literal: "a\\'b") == "E'a\\\\''b'")
  }

  @Test(arguments: ["postgresql://user:geheim@[bad/app", "password=geheim host", "host='geheim"])
  func anUnreadableConnectionStringIsNotRepeated(_ text: String) {
    #expect {
      try ConnectionParameters(text)
    } throws: { error in
      guard let failure = error as? SourceFailure else { return false }
      return failure.kind == .misconfigured && !failure.message.contains("geheim")
        && failure.message.contains("source.postgres")
    }
  }

  @Test func settingsComeBehindTheUsersOwn() throws {
    var parameters = try ConnectionParameters("host=h options='-c geqo=off' application_name=mine")
    parameters.addSettings([("TimeZone", "UTC"), ("DateStyle", "ISO,YMD")])
    parameters.setDefault("application_name", "other")
    #expect(parameters["options"] == "-c geqo=off -c TimeZone=UTC -c DateStyle=ISO,YMD")
    #expect(parameters["application_name"] == "mine")
  }

  @Test func passwordsAreTakenOutOfMessages() throws {
    let parameters = try ConnectionParameters("postgresql://u:geheim@h/d")
    #expect(parameters.redacted("tried geheim twice: geheim") == "tried *** twice: ***")
  }

  @Test func theReplicationConnectionPinsHowColumnsAreRendered() throws {
    let configuration = PostgresSourceConfiguration(connection: "host=h", slot: "s", publication: "p")
    let parameters = try configuration.changeParameters()
    #expect(parameters["replication"] == "database")
    #expect(parameters["client_encoding"] == "UTF8")
    let options = try #require(parameters["options"])
    let pinned = [
      "DateStyle=ISO,YMD", "IntervalStyle=postgres", "TimeZone=UTC", "extra_float_digits=1",
      "bytea_output=hex", "lc_monetary=C", "wal_sender_timeout=10s",
    ]
    for setting in pinned { #expect(options.contains("-c " + setting)) }
  }

  @Test func aServerThatIsNotThereIsUnavailable() {
    #expect {
      try CatalogSession(connection: "host=127.0.0.1 port=1 user=u password=geheim dbname=d")
    } throws: { error in
      guard let failure = error as? SourceFailure else { return false }
      return failure.kind == .unavailable && !failure.message.contains("geheim")
        && failure.message.contains("127.0.0.1")
    }
  }

  /// The rows of the table from SQLSTATE to kind, while connecting or asking and while streaming.
  static let kinds: [(String?, String, SourceFailure.Kind, SourceFailure.Kind)] = [
    (nil, "server closed the connection", .unavailable, .unavailable),
    ("57P01", "terminating connection due to administrator command", .shuttingDown, .shuttingDown),
    ("57P03", "the database system is shutting down", .shuttingDown, .shuttingDown),
    ("57P03", "the database system is starting up", .unavailable, .unavailable),
    ("57P02", "terminating connection because of crash", .unavailable, .unavailable),
    ("55006", "replication slot \"cdcd\" is active for PID 7", .slotInUse, .slotInUse),
    ("55000", "can no longer get changes from replication slot", .misconfigured, .slotLost),
    ("58P01", "requested WAL segment has already been removed", .misconfigured, .slotLost),
    ("42704", "publication \"cdcd\" does not exist", .misconfigured, .misconfigured),
    ("42501", "permission denied", .misconfigured, .misconfigured),
    ("28P01", "password authentication failed", .misconfigured, .misconfigured),
    ("53300", "sorry, too many clients already", .unavailable, .unavailable),
    ("53400", "all replication slots are in use", .misconfigured, .misconfigured),
    ("08P01", "unsupported startup parameter", .misconfigured, .misconfigured),
  ]

  @Test(arguments: kinds)
  func anErrorsCodeTellsWhatToDo(
    state: String?, message: String, asking: SourceFailure.Kind, streaming: SourceFailure.Kind
  ) {
    let error = CatalogError(sqlState: state, message: message)
    #expect(SourceFailure(error, doing: "x").kind == asking)
    #expect(SourceFailure(error, streaming: true, doing: "x").kind == streaming)
  }
}
