import Foundation
import Synchronization

/// A private PostgreSQL on a free loopback port, in a temporary folder, without passwords.
final class PostgresServer: Sendable {
  enum StopMode: Int32 {
    /// What `pg_ctl stop -m fast` sends: clients are disconnected, the log is sent to the end.
    case fast = 2
    /// What `pg_ctl stop -m immediate` sends: the next start is a crash recovery.
    case immediate = 3
  }

  let port: Int
  private let folder: TemporaryFolder
  private let name: String
  private let ownSettings: [String]
  private let settings: [String]
  private let process = Mutex<ServerProcess?>(nil)

  /// Debian's; Tests/run names those of another version.
  static let binaries =
    ProcessInfo.processInfo.environment["POSTGRES_BINARIES"] ?? "/usr/lib/postgresql/15/bin"
  /// The major version. 0 when the binaries do not tell, as where there are none.
  static let version: Int = {
    guard let folder = try? TemporaryFolder(),
      let told = try? CommandResult.of(["\(binaries)/postgres", "--version"], in: folder)
    else { return 0 }
    // "postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)"
    return told.output.split(separator: " ").dropFirst(2).first
      .flatMap { Int($0.prefix { $0.isNumber }) } ?? 0
  }()
  static let hasWal2json = FileManager.default.fileExists(atPath: binaries + "/../lib/wal2json.so")
  /// PostgreSQL refuses to run as root; Debian's package made this user.
  static let user = getuid() == 0 ? "postgres" : nil

  /// A new cluster. Does not start it.
  convenience init(in folder: TemporaryFolder, settings: [String] = []) throws {
    try self.init(in: folder, named: "postgres", settings: settings)
    let template = try PostgresTemplate.folder()
    let result = try CommandResult.of(["/bin/cp", "-a", template, folder.file(name)], in: folder)
    guard result.status == 0 else { throw TimedOut(description: result.output) }
  }

  /// A streaming standby of a server that runs, with the same settings and more, and with a physical slot there of its
  /// own name when it is to keep one. Does not start it.
  convenience init(
    standbyOf primary: PostgresServer, named name: String, settings: [String] = [], slot: Bool = false
  ) throws {
    try self.init(in: primary.folder, named: name, settings: primary.ownSettings + settings)
    let path = folder.file(name)
    try PostgresTemplate.makeFolder(path)
    if slot { try primary.query("SELECT pg_create_physical_replication_slot('\(name)', true)") }
    let backup = try ServerProcess(
      [
        "\(Self.binaries)/pg_basebackup", "-D", path + "/data", "-R", "--no-sync", "--checkpoint=fast", "-d",
        // Who synchronizes slots connects to a database.
        "host=127.0.0.1 port=\(primary.port) user=postgres dbname=postgres",
      ] + (slot ? ["-S", name] : []), log: folder.file(name + "-backup.log"), user: Self.user)
    guard try backup.waitForExit(within: .seconds(60)) == 0 else {
      throw TimedOut(description: try backup.output)
    }
  }

  /// A cluster with a system identifier of its own. Does not start it.
  convenience init(newClusterBeside other: PostgresServer, named name: String) throws {
    try self.init(in: other.folder, named: name, settings: other.ownSettings)
    try PostgresTemplate.make(in: folder.file(name))
  }

  private init(in folder: TemporaryFolder, named name: String, settings: [String]) throws {
    self.folder = folder
    self.name = name
    port = try LoopbackConnection.freePort()
    ownSettings = settings
    // A crash test kills processes and not the machine, so fsync has nothing to say.
    self.settings =
      [
        "wal_level=logical", "listen_addresses=127.0.0.1", "port=\(port)", "fsync=off",
        "unix_socket_directories=\(folder.path)/\(name)", "shared_buffers=16MB", "max_wal_size=64MB",
        "log_min_messages=info",
      ] + settings
  }

  deinit {
    guard let process = process.withLock({ $0 }), process.isRunning else { return }
    signalAll(SIGCONT)
    process.signal(StopMode.immediate.rawValue)
    do {
      _ = try process.waitForExit(within: .seconds(10))
    } catch {
      print("PostgreSQL on port \(port): \(error)")
    }
  }

  /// For cdcd.
  var url: String { "postgresql://postgres@127.0.0.1:\(port)/postgres" }

  /// Starts it and waits until it takes connections.
  func start() throws {
    let options = settings.flatMap { ["-c", $0] }
    let started = try ServerProcess(
      ["\(Self.binaries)/postgres", "-D", folder.file(name + "/data")] + options,
      log: folder.file(name + ".log"), deathSignal: "QUIT", user: Self.user)
    process.withLock { $0 = started }
    try eventually(within: .seconds(60), "PostgreSQL takes connections") {
      guard started.isRunning else { throw TimedOut(description: try started.output) }
      return try self.session(timeout: .seconds(2)).value("SELECT 1") == "1"
    }
  }

  /// Answers with how long it took to end.
  @discardableResult
  func stop(_ mode: StopMode = .fast) throws -> Duration {
    guard let running = process.withLock({ $0 }) else { return .zero }
    return try elapsed {
      running.signal(mode.rawValue)
      _ = try running.waitForExit(within: .seconds(60))
    }
  }

  func restart(_ mode: StopMode = .fast) throws {
    try stop(mode)
    try start()
  }

  /// SIGSTOP to the postmaster and all its children: connections stay open and nothing answers.
  func freeze() { signalAll(SIGSTOP) }
  func thaw() { signalAll(SIGCONT) }

  private func signalAll(_ number: Int32) {
    guard let running = process.withLock({ $0 }) else { return }
    running.signal(number)
    do {
      for child in try running.children { kill(child, number) }
    } catch {
      print("PostgreSQL on port \(port): \(error)")
    }
  }

  func session(timeout: Duration = .seconds(30)) throws -> PostgresClient {
    try PostgresClient(port: port, timeout: timeout)
  }

  /// One statement on a connection of its own.
  @discardableResult
  func query(_ sql: String) throws -> [[String?]] { try session().rows(sql) }

  func value(_ sql: String) throws -> String { try session().value(sql) }

  /// The end of what was written so far, flushed or not.
  func insertPosition() throws -> String { try value("SELECT pg_current_wal_insert_lsn()") }
}

/// The result of one `initdb`, copied for each server.
private enum PostgresTemplate {
  private static let made = Mutex<String?>(nil)

  static func folder() throws -> String {
    try made.withLock { made in
      if let made { return made }
      let name = "cdcd-test-template-" + UUID().uuidString.prefix(8)
      let folder = FileManager.default.temporaryDirectory.path + "/" + name
      try make(in: folder)
      made = folder
      atexit {
        PostgresTemplate.made.withLock { made in
          if let made { try? FileManager.default.removeItem(atPath: made) }
        }
      }
      return folder
    }
  }

  /// An empty folder that PostgreSQL's user owns.
  static func makeFolder(_ folder: String) throws {
    var attributes: [FileAttributeKey: Any] = [.posixPermissions: 0o700]
    if let user = PostgresServer.user { attributes[.ownerAccountName] = user }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try FileManager.default.setAttributes(attributes, ofItemAtPath: folder)
  }

  static func make(in folder: String) throws {
    try makeFolder(folder)
    let log = folder + ".log"
    defer { unsafe unlink(log) }
    let initdb = try ServerProcess(
      [
        "\(PostgresServer.binaries)/initdb", "-D", folder + "/data", "-U", "postgres", "-A", "trust",
        "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--wal-segsize=1",
      ],
      log: log, user: PostgresServer.user)
    guard try initdb.waitForExit(within: .seconds(120)) == 0 else {
      throw TimedOut(description: try initdb.output)
    }
  }
}
