import Foundation
import Synchronization

/// A private Redis on a free loopback port, in a temporary folder.
final class RedisServer: Sendable {
  let port: Int
  private let folder: TemporaryFolder
  private let options: [String]
  private let process = Mutex<ServerProcess?>(nil)

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
    let started = try ServerProcess(
      ["/usr/bin/redis-server", "--port", "\(port)", "--bind", "127.0.0.1", "--dir", folder.file("redis")]
        + options,
      log: folder.file("redis.log"))
    process.withLock { $0 = started }
    try eventually(within: .seconds(30), "Redis answers") {
      guard started.isRunning else { throw TimedOut(description: try started.output) }
      return try self.client()("PING") == .text("PONG")
    }
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

  func freeze() { process.withLock { $0?.signal(SIGSTOP) } }
  func thaw() { process.withLock { $0?.signal(SIGCONT) } }

  func client(timeout: Duration = .seconds(10)) throws -> RedisClient {
    try RedisClient(port: port, timeout: timeout)
  }
}
