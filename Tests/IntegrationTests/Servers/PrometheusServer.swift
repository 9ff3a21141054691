import Foundation

/// Debian's Prometheus, scraping one cdcd four times a second with the alerts of `deploy/prometheus`.
final class PrometheusServer: Sendable {
  /// One series of an answer: its labels, and its last value.
  struct Series: Decodable {
    var metric: [String: String]
    /// A time and a number as text.
    var value: [Value]

    enum Value: Decodable {
      case time(Double)
      case text(String)

      init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        self =
          try (try? container.decode(Double.self)).map(Value.time) ?? .text(container.decode(String.self))
      }
    }

    var number: Double? { if case .text(let text)? = value.last { Double(text) } else { nil } }
  }

  struct Alert: Decodable {
    var labels: [String: String]
    /// `pending` or `firing`.
    var state: String
  }

  private struct Answer<Content: Decodable>: Decodable {
    var status: String
    var error: String?
    var data: Content?
  }
  private struct Vector: Decodable { var result: [Series] }
  private struct Alerts: Decodable { var alerts: [Alert] }

  private let port: Int
  private let process: ServerProcess

  /// Alerts fire after a second instead of minutes.
  init(scraping cdcd: CDCDProcess, in folder: TemporaryFolder) throws {
    port = try LoopbackConnection.freePort()
    let rules = try String(contentsOf: Self.deployed("prometheus/cdcd.rules.yml"), encoding: .utf8)
    let hasty = try folder.write(rules.replacing(/for: [0-9]+m/, with: "for: 1s"), to: "hasty.rules.yml")
    let configuration = try folder.write(
      """
      global: {scrape_interval: 250ms, evaluation_interval: 250ms}
      rule_files: ['\(hasty)']
      scrape_configs: [{job_name: cdcd, static_configs: [{targets: ['127.0.0.1:\(cdcd.httpPort)']}]}]
      """, to: "prometheus.yml")
    process = try ServerProcess(
      [
        "/usr/bin/prometheus", "--config.file=\(configuration)", "--web.listen-address=127.0.0.1:\(port)",
        "--storage.tsdb.path=\(folder.file("prometheus"))",
      ], log: folder.file("prometheus.log"))
    do {
      try eventually("Prometheus is ready") { try HTTPResponse.get("/-/ready", port: port).status == 200 }
    } catch {
      throw TimedOut(description: "\(error)\nits log:\n\(try process.output.suffix(4_000))")
    }
  }

  /// A file of `deploy`.
  static func deployed(_ path: String) -> URL {
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "deploy/\(path)")
  }

  /// What a query selects now; throws what Prometheus has against it.
  func query(_ text: String) throws -> [Series] {
    let escaped = text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
    return try ask("/api/v1/query?query=\(escaped)", Vector.self).result
  }

  /// The alerts that are pending or firing.
  var alerts: [Alert] { get throws { try ask("/api/v1/alerts", Alerts.self).alerts } }

  private func ask<Content: Decodable>(_ path: String, _: Content.Type) throws -> Content {
    let body = try HTTPResponse.get(path, port: port).body
    let answer = try JSONDecoder().decode(Answer<Content>.self, from: Data(body.utf8))
    guard answer.status == "success", let data = answer.data else {
      throw TimedOut(description: answer.error ?? body)
    }
    return data
  }
}
