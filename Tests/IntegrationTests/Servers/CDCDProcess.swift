import Foundation
import Invalidation

/// The real `cdcd`, running.
final class CDCDProcess: Sendable {
  let httpPort: Int
  let process: ServerProcess

  /// The binary that was built together with this test bundle; CDCD_BINARY names another one.
  static var binary: String {
    get throws {
      if let named = ProcessInfo.processInfo.environment["CDCD_BINARY"] { return named }
      // The bundle is an executable of its own on Linux, or loaded by a runner: its path is the first argument
      // that ends so.
      let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
      let path = URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent("cdcd").path
      guard FileManager.default.isExecutableFile(atPath: path) else {
        throw TimedOut(description: "no cdcd at \(path): run `swift build` first, or set CDCD_BINARY")
      }
      return path
    }
  }

  init(
    _ words: [String], configuration: String, httpPort: Int, log: String, environment: [String: String] = [:]
  ) throws {
    self.httpPort = httpPort
    process = try ServerProcess(
      [Self.binary] + words + ["--config", configuration], log: log, environment: environment)
  }

  /// A daemon whose PostgreSQL and Redis are not there; it logs into the file `cdcd.log` of the folder. `port` is where
  /// HTTP listens, `log` what the file says under that name.
  static func withoutServers(
    in folder: TemporaryFolder, port: Int, log: String = "{}", environment: [String: String]
  ) throws -> CDCDProcess {
    let nobody = try LoopbackConnection.freePort()
    let path = try folder.write(
      """
      source: {postgres: 'postgresql://cdcd@127.0.0.1:\(nobody)/app'}
      redis: {url: 'redis://127.0.0.1:\(nobody)'}
      http: {listen: '127.0.0.1:\(port)'}
      log: \(log)
      rules: [{table: users, keys: ['user:{id}']}]
      """, to: "rules.yaml")
    return try CDCDProcess(
      [], configuration: path, httpPort: port, log: folder.file("cdcd.log"), environment: environment)
  }

  func get(_ path: String, timeout: Duration = .seconds(30)) throws -> HTTPResponse {
    try HTTPResponse.get(path, port: httpPort, timeout: timeout)
  }

  var isReady: Bool { get throws { try get("/readyz", timeout: .seconds(5)).status == 200 } }

  func waitUntilReady(within limit: Duration = .seconds(30)) throws {
    do {
      try eventually(within: limit, "cdcd is ready") {
        let response = try get("/readyz", timeout: .seconds(5))
        if response.status != 200 { throw TimedOut(description: response.body) }
        return true
      }
    } catch {
      throw TimedOut(description: "\(error)\nits log:\n\(try process.output.suffix(4000))")
    }
  }

  /// Asks `/wait`: whether everything up to the position was settled within `limit`.
  func settles(_ position: String, within limit: Duration = .seconds(20)) throws -> Bool {
    let seconds = limit.components.seconds
    let path = "/wait?lsn=\(position)&timeout=\(seconds)s"
    return try get(path, timeout: limit + .seconds(10)).status == 200
  }

  /// Up to where everything is settled, as cdcd tells it.
  var settledPosition: LSN {
    get throws {
      guard let position = try metric("cdcd_settled_lsn") else {
        throw TimedOut(description: "cdcd_settled_lsn is not among the metrics")
      }
      return LSN(UInt64(position))
    }
  }

  /// The sum of a metric over its labels; nil when it is not there.
  func metric(_ name: String) throws -> Double? {
    let lines = try get("/metrics").body.split(separator: "\n")
    let values = lines.compactMap { line -> Double? in
      guard line.hasPrefix(name + " ") || line.hasPrefix(name + "{") else { return nil }
      return line.split(separator: " ").last.flatMap { Double($0) }
    }
    return values.isEmpty ? nil : values.reduce(0, +)
  }
}
