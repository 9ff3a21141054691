@testable import Daemon

/// A query in Prometheus's language, as alerts and dashboards have them.
///
/// Source: Prometheus documentation, "Querying basics" and "Operators".
struct PrometheusQuery: CustomStringConvertible {
  let description: String

  init(_ text: String) { description = text }

  /// The names of the series that it selects.
  var series: Set<String> {
    let bare =
      description
      .replacing(/"[^"]*"|'[^']*'/, with: "")
      .replacing(/\{[^}]*\}|\[[^\]]*\]/, with: " ")
      .replacing(/\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)/, with: " ")
    let operators: Set = ["and", "or", "unless", "bool", "offset"]
    return Set(
      bare.matches(of: /\b([a-zA-Z_:][a-zA-Z0-9_:]*)\b(?!\s*\()/).map { String($0.output.1) }
    ).subtracting(operators)
  }

  /// Those that neither cdcd tells nor Prometheus itself.
  var unknownSeries: Set<String> { series.subtracting(Self.known) }

  private static let known = Set(
    Metric.all.flatMap { metric in
      metric.kind == .histogram ? ["_bucket", "_sum", "_count"].map { metric.name + $0 } : [metric.name]
    } + ["up"])
}
