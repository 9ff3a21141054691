import Glibc
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

  @Test(arguments: [
    ("127.0.0.1", true), ("127.9.9.9", true), ("10.0.0.1", false), ("::1", true), ("::ffff:127.0.0.1", true),
    ("::ffff:10.0.0.1", false), ("::2", false), ("2001:db8::1", false),
  ])
  func loopbackIsKnownByTheAddress(_ text: String, _ isLoopback: Bool) throws {
    let host = try #require(SocketHost(address(text, port: 5432)))
    #expect(host.isLoopback == isLoopback)
    // The port is none of it.
    #expect(host == SocketHost(address(text, port: 40_000)))
  }

  @Test func aUnixSocketHasNoHost() {
    var storage = sockaddr_storage()
    storage.ss_family = sa_family_t(AF_UNIX)
    #expect(SocketHost(storage) == nil)
  }

  private func address(_ text: String, port: UInt16) -> sockaddr_storage {
    var storage = sockaddr_storage()
    unsafe withUnsafeMutableBytes(of: &storage) { bytes in
      if text.contains(":") {
        var name = sockaddr_in6()
        name.sin6_family = sa_family_t(AF_INET6)
        name.sin6_port = port.bigEndian
        unsafe inet_pton(AF_INET6, text, &name.sin6_addr)
        unsafe bytes.storeBytes(of: name, as: sockaddr_in6.self)
      } else {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        unsafe inet_pton(AF_INET, text, &name.sin_addr)
        unsafe bytes.storeBytes(of: name, as: sockaddr_in.self)
      }
    }
    return storage
  }

  @Test func settingsComeBehindTheUsersOwn() throws {
    var parameters = try ConnectionParameters("host=h options='-c geqo=off' application_name=mine")
    parameters.addSettings([("TimeZone", "UTC"), ("DateStyle", "ISO,YMD")])
    parameters.setDefault("application_name", "other")
    #expect(parameters["options"] == "-c geqo=off -c TimeZone=UTC -c DateStyle=ISO,YMD")
    #expect(parameters["application_name"] == "mine")
  }

  @Test func severalHostsAreTriedEachOnItsOwn() throws {
    func hosts(_ text: String) throws -> [[String?]] {
      try ConnectionParameters(text).hosts.map { host in
        ["host", "hostaddr", "port", "target_session_attrs"].map { host[$0] }
      }
    }
    #expect(
      try hosts("postgresql://u@a:5433,b,[::1]:5434/d")
        == [["a", nil, "5433", "primary"], ["b", nil, "", "primary"], ["::1", nil, "5434", "primary"]])
    #expect(
      try hosts("host=a,b port=5433 target_session_attrs=read-write")
        == [["a", nil, "5433", "read-write"], ["b", nil, "5433", "read-write"]])
    #expect(
      try hosts("host=a,b hostaddr=10.0.0.1,10.0.0.2")
        == [["a", "10.0.0.1", nil, "primary"], ["b", "10.0.0.2", nil, "primary"]])
    #expect(try hosts("hostaddr=10.0.0.1,10.0.0.2").count == 2)
    // One host, and lists of which libpq says that they do not fit.
    for text in [
      "host=a", "host=a port=5433", "dbname=d", "host=a,b port=1,2,3", "host=a,b hostaddr=10.0.0.1",
    ] {
      #expect(try hosts(text).count == 1 && hosts(text)[0][3] == nil, "\(text)")
    }
  }

  @Test(arguments: [
    ("host=h", 10), ("connect_timeout=3", 3), ("connect_timeout=1", 2), ("connect_timeout=0", 10),
    ("connect_timeout=60", 10),
  ])
  func connectTimeoutIsKept(text: String, seconds: Int64) throws {
    #expect(try ConnectionParameters(text).connectTime == seconds * 1_000_000_000)
  }

  @Test func theFailureOfSeveralHostsTellsOfEach() {
    #expect {
      try CatalogSession(connection: "host=127.0.0.1,127.0.0.2 port=1 user=u dbname=d")
    } throws: { error in
      guard let failure = error as? SourceFailure else { return false }
      return failure.message.contains("127.0.0.1") && failure.message.contains("127.0.0.2")
    }
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
