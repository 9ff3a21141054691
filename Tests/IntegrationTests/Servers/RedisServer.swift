import Foundation
import Synchronization

/// A private Redis, or a server that speaks like one, on a free loopback port, in a temporary folder.
final class RedisServer: Sendable {
  /// Debian's; Tests/run names another one.
  private static let binary =
    ProcessInfo.processInfo.environment["REDIS_SERVER"] ?? "/usr/bin/redis-server"
  static let isValkey = binary.contains("valkey")

  let port: Int
  private let folder: TemporaryFolder
  private let options: [String]
  private let process = Mutex<ServerProcess?>(nil)
  private let replica = Mutex<Replica?>(nil)

  private struct Replica {
    var port: Int
    var process: ServerProcess
  }

  /// Does not start it. Without options it keeps nothing on disk: a restart is a loss of all data.
  init(in folder: TemporaryFolder, options: [String] = ["--save", "", "--appendonly", "no"]) throws {
    self.folder = folder
    self.options = options
    port = try LoopbackConnection.freePort()
    try FileManager.default.createDirectory(
      atPath: folder.file("redis"), withIntermediateDirectories: true)
  }

  /// For cdcd.
  var url: String { "redis://127.0.0.1:\(port)/0" }

  /// Starts it and waits until it answers.
  func start() throws {
    let started = try launch(port: port, folder: "redis", options)
    process.withLock { $0 = started }
  }

  /// Starts a process and waits until it answers.
  private func launch(port: Int, folder name: String, _ options: [String]) throws -> ServerProcess {
    let started = try ServerProcess(
      [Self.binary, "--port", "\(port)", "--bind", "127.0.0.1", "--dir", folder.file(name)]
        + options, log: folder.file("redis.log"))
    try eventually(within: .seconds(30), "Redis answers") {
      guard started.isRunning else { throw TimedOut(description: try started.output) }
      return try RedisClient(port: port, timeout: .seconds(10))("PING") == .text("PONG")
    }
    return started
  }

  /// Starts a replica and waits until it has everything and the primary counts it, which may be up to a second later:
  /// until then `min-replicas-to-write` refuses writes.
  func startReplica() throws {
    let port = try LoopbackConnection.freePort()
    let name = "redis-\(port)"
    try FileManager.default.createDirectory(atPath: folder.file(name), withIntermediateDirectories: true)
    let started = try launch(
      port: port, folder: name, options + ["--replicaof", "127.0.0.1", "\(self.port)"])
    replica.withLock { $0 = Replica(port: port, process: started) }
    let client = try RedisClient(port: port, timeout: .seconds(10))
    try eventually(within: .seconds(30), "the replica has caught up") {
      try client("INFO", "replication").text?.contains("master_link_status:up") == true
    }
    let primary = try self.client()
    try eventually(within: .seconds(30), "the primary counts the replica") {
      try primary("INFO", "replication").text?.contains(",state=online,") == true
    }
  }

  /// From here on the replica learns nothing any more.
  func cutOffReplica() throws { _ = try replicaClient()("REPLICAOF", "127.0.0.1", "1") }

  /// Kills the primary. The replica becomes primary, with what it knows, at the address of the old one.
  func failOver() throws {
    try kill()
    let client = try replicaClient()
    _ = try client("REPLICAOF", "NO", "ONE")
    _ = try client("CONFIG", "SET", "port", "\(port)")
    let promoted = replica.withLock { replica in
      defer { replica = nil }
      return replica?.process
    }
    process.withLock { $0 = promoted }
  }

  private func replicaClient() throws -> RedisClient {
    guard let port = replica.withLock({ $0?.port }) else {
      throw TimedOut(description: "Redis has no replica")
    }
    return try RedisClient(port: port, timeout: .seconds(10))
  }

  /// Ends it in order: SIGTERM saves what it is configured to save.
  func stop() throws { try end(SIGTERM) }

  /// SIGKILL.
  func kill() throws { try end(SIGKILL) }

  private func end(_ number: Int32) throws {
    guard let running = process.withLock({ $0 }) else { return }
    running.signal(number)
    _ = try running.waitForExit()
  }

  /// Keeps a copy of the append-only file as it is now.
  func copyAppendOnlyFile() throws {
    try? FileManager.default.removeItem(atPath: folder.file("kept"))
    try FileManager.default.copyItem(atPath: folder.file("redis/appendonlydir"), toPath: folder.file("kept"))
  }

  /// Puts the copy back, as a restored disk would; only while it does not run.
  func restoreAppendOnlyFile() throws {
    try FileManager.default.removeItem(atPath: folder.file("redis/appendonlydir"))
    try FileManager.default.moveItem(atPath: folder.file("kept"), toPath: folder.file("redis/appendonlydir"))
  }

  func freeze() { process.withLock { $0?.signal(SIGSTOP) } }
  func thaw() { process.withLock { $0?.signal(SIGCONT) } }

  func client(timeout: Duration = .seconds(10)) throws -> RedisClient {
    try RedisClient(port: port, timeout: timeout)
  }
}
