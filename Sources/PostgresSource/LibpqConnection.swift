import CLibpq
import Glibc
import Invalidation

/// One PGconn, closed at the end of its life: the only place that touches it.
///
/// Used either blocking from the start to the end (`connecting`, `run`), or never blocking
/// (`startConnecting`, `pollConnect`, and the functions of `LibpqConnection+Asynchronous.swift`).
@safe
final class LibpqConnection {
  /// What PQconnectPoll waits for.
  enum ConnectStep {
    case reading, writing, connected
    case failed(SourceFailure)
  }

  /// Not to be used outside of this type.
  let pointer: OpaquePointer
  private let parameters: ConnectionParameters
  private let lastWords = LastWords()

  @unsafe
  private init(owning pointer: OpaquePointer, _ parameters: ConnectionParameters) {
    unsafe self.pointer = pointer
    self.parameters = parameters
    // With it an error while connecting names its SQLSTATE, the one part that is not translated.
    _ = unsafe PQsetErrorVerbosity(pointer, PQERRORS_VERBOSE)
    _ = unsafe PQsetNoticeReceiver(
      pointer,
      { context, result in
        guard let context = unsafe context, let result = unsafe result else { return }
        let lastWords = unsafe Unmanaged<LastWords>.fromOpaque(context).takeUnretainedValue()
        unsafe lastWords.hear(LibpqNotice(borrowing: result))
      },
      Unmanaged.passUnretained(lastWords).toOpaque())
  }

  deinit { unsafe PQfinish(pointer) }

  /// Begins to connect without waiting, but for the name's resolution. `pollConnect` goes on.
  static func startConnecting(_ parameters: ConnectionParameters) throws(SourceFailure) -> LibpqConnection {
    let started = unsafe parameters.withCArrays { keywords, values in
      // 0: the database's name is a name, never another connection string.
      unsafe PQconnectStartParams(keywords, values, 0)
    }
    guard let pointer = unsafe started else { throw SourceFailure(.unavailable, "libpq is out of memory") }
    let connection = unsafe LibpqConnection(owning: pointer, parameters)
    guard unsafe PQstatus(pointer) != CONNECTION_BAD else { throw connection.connectFailure() }
    return connection
  }

  /// Connects to the first of the hosts that lets it, and waits for each ten seconds at most.
  static func connecting(toOneOf hosts: [ConnectionParameters]) throws(SourceFailure) -> LibpqConnection {
    var failures: [SourceFailure] = []
    for host in hosts {
      do throws(SourceFailure) {
        return try connecting(host)
      } catch {
        failures.append(error)
      }
    }
    throw SourceFailure(
      failures.last?.kind ?? .misconfigured, failures.map(\.message).joined(separator: "; "))
  }

  static func connecting(
    _ parameters: ConnectionParameters
  ) throws(SourceFailure) -> LibpqConnection {
    let connection = try startConnecting(parameters)
    var step = ConnectStep.writing
    let end = ContinuousClock.now + .nanoseconds(parameters.connectTime)
    while ContinuousClock.now < end {
      switch step {
      case .connected: return connection
      case .failed(let failure): throw failure
      case .reading, .writing:
        var descriptor = pollfd(fd: connection.fileDescriptor, events: step.pollEvents, revents: 0)
        let ready = unsafe poll(&descriptor, 1, 100)
        if ready > 0 { step = connection.pollConnect() }
      }
    }
    throw connection.timeout("connecting", within: parameters.connectTime)
  }

  /// To be called first when the socket is writable, then each time what the step before asked for is ready.
  /// The socket may be another one after each call.
  func pollConnect() -> ConnectStep {
    switch unsafe PQconnectPoll(pointer) {
    case PGRES_POLLING_OK:
      _ = unsafe PQsetErrorVerbosity(pointer, PQERRORS_DEFAULT)
      return .connected
    case PGRES_POLLING_READING: return .reading
    case PGRES_POLLING_WRITING: return .writing
    default: return .failed(connectFailure())
    }
  }

  /// -1 when there is none.
  var fileDescriptor: Int32 { unsafe PQsocket(pointer) }

  /// Of the host that was reached, for one more connection to the very same: without resolving a name again, which
  /// may block, and without trying other hosts.
  var reached: [(keyword: String, value: String)] {
    let answers = unsafe [
      ("host", PQhost(pointer)), ("hostaddr", PQhostaddr(pointer)), ("port", PQport(pointer)),
    ]
    return unsafe answers.compactMap { keyword, text in
      guard let text = unsafe text else { return nil }
      let value = unsafe String(cString: text)
      return value.isEmpty ? nil : (keyword, value)
    }
  }

  /// The server process's id, as the server told it.
  var serverProcess: Int32 { unsafe PQbackendPID(pointer) }

  /// Whether the host that was reached is a folder.
  var isUnixSocket: Bool { unsafe PQhost(pointer).map { unsafe $0.pointee == 0x2F } ?? false }

  /// By TLS or GSSAPI.
  var isEncrypted: Bool { unsafe PQsslInUse(pointer) != 0 || PQgssEncInUse(pointer) != 0 }

  /// 150020 for 15.20.
  var serverVersion: Int32 { unsafe PQserverVersion(pointer) }

  /// Runs a statement and waits for its answer.
  func run(_ sql: String, _ values: [String?]) throws(CatalogError) -> [[String?]] {
    let texts = CStrings(values)
    let answer = unsafe PQexecParams(pointer, sql, Int32(values.count), nil, texts.pointers, nil, nil, 0)
    return unsafe try checked(answer)
  }

  /// Runs one or several statements, all in one transaction, and waits for their answer.
  func run(script: String) throws(CatalogError) { _ = try run(command: script) }

  /// Runs one statement by the simple protocol, the only one a walsender speaks, and waits for its answer.
  func run(command: String) throws(CatalogError) -> [[String?]] {
    unsafe try checked(PQexec(pointer, command))
  }

  private func checked(_ answer: OpaquePointer?) throws(CatalogError) -> [[String?]] {
    guard let answer = unsafe answer else { throw brokenConnection() }
    let result = unsafe LibpqResult(owning: answer)
    guard !result.isError else { throw result.error }
    return result.rows
  }

  /// Why the connection broke: the last words of the server, which says the reason before it closes, or libpq's.
  func brokenConnection() -> CatalogError {
    if let error = lastWords.error { return error }
    let text = unsafe PQerrorMessage(pointer).map { unsafe String(cString: $0) } ?? ""
    let message = text.isEmpty ? "the connection was closed" : parameters.redacted(oneLine(text))
    return CatalogError(sqlState: nil, message: message)
  }

  /// `limit` is in nanoseconds.
  func timeout(_ action: String, within limit: Int64 = answerTime) -> SourceFailure {
    SourceFailure(
      .unavailable, "PostgreSQL: \(action): no answer within \(limit / 1_000_000_000) seconds")
  }

  /// The error that PQconnectPoll left behind, its SQLSTATE taken out of the text:
  /// `connection to server at ... failed: FATAL:  57P03: the database system is shutting down`.
  private func connectFailure() -> SourceFailure {
    var error = brokenConnection()
    var words = error.message.split(separator: " ", omittingEmptySubsequences: true)
    if let state = words.firstIndex(where: { $0.last == ":" && isSQLState($0.dropLast()) }) {
      error.sqlState = String(words[state].dropLast())
      words.remove(at: state)
    }
    error.message = words.joined(separator: " ")
    return SourceFailure(error, doing: "connecting")
  }

  /// What the notice receiver writes to: libpq passes an error that comes unasked off as a notice.
  private final class LastWords {
    private(set) var error: CatalogError?

    func hear(_ notice: borrowing LibpqNotice) { if notice.isFatal { error = notice.error } }
  }
}

extension LibpqConnection.ConnectStep {
  /// For poll(2); nothing when there is nothing to wait for.
  var pollEvents: Int16 {
    switch self {
    case .reading: Int16(POLLIN)
    case .writing: Int16(POLLOUT)
    case .connected, .failed: 0
    }
  }
}

/// Five capital letters and digits, with at least one digit, which tells it from FATAL.
private func isSQLState(_ word: Substring) -> Bool {
  let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
  let letters = UInt8(ascii: "A")...UInt8(ascii: "Z")
  return word.utf8.count == 5 && word.utf8.contains(where: digits.contains)
    && word.utf8.allSatisfy { digits.contains($0) || letters.contains($0) }
}
