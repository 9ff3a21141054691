/// The text form in which Prometheus reads metrics.
///
/// Source: Prometheus documentation, "Exposition formats", text-based format, version 0.0.4.
enum PrometheusText {
  static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  /// A family without a sample is left out, its HELP and TYPE lines as well.
  static func render(_ metrics: [Metric], _ input: MetricsInput) -> String {
    var text = ""
    for metric in metrics {
      switch metric.values(input) {
      case .samples(let samples) where samples.isEmpty: continue
      case .samples(let samples):
        appendHeader(of: metric, to: &text)
        for sample in samples {
          appendSample(metric.name, sample.labels, text: sample.value.text, to: &text)
        }
      case .histogram(let histogram):
        appendHeader(of: metric, to: &text)
        append(histogram, metric.name, to: &text)
      }
    }
    return text
  }

  private static func appendHeader(of metric: Metric, to text: inout String) {
    text += "# HELP \(metric.name) \(escaped(metric.help, quote: false))\n"
    text += "# TYPE \(metric.name) \(metric.kind.rawValue)\n"
  }

  private static func append(_ histogram: MetricHistogram, _ name: String, to text: inout String) {
    for bucket in histogram.buckets {
      appendSample(
        name + "_bucket", [("le", String(bucket.upperBound))], text: String(bucket.cumulativeCount), to: &text
      )
    }
    appendSample(name + "_bucket", [("le", "+Inf")], text: String(histogram.count), to: &text)
    appendSample(name + "_sum", [], text: String(histogram.sum), to: &text)
    appendSample(name + "_count", [], text: String(histogram.count), to: &text)
  }

  private static func appendSample(
    _ name: String, _ labels: [(name: String, value: String)], text value: String, to text: inout String
  ) {
    text += name
    if !labels.isEmpty {
      let pairs = labels.map { "\($0.name)=\"\(escaped($0.value, quote: true))\"" }
      text += "{" + pairs.joined(separator: ",") + "}"
    }
    text += " " + value + "\n"
  }

  /// Backslash and line feed are escaped everywhere, the double quote in label values only.
  private static func escaped(_ text: String, quote: Bool) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": escaped += "\\\\"
      case "\n": escaped += "\\n"
      case "\"" where quote: escaped += "\\\""
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}

extension MetricSample.Value {
  /// As Go's ParseFloat reads it.
  fileprivate var text: String {
    switch self {
    case .integer(let value): String(value)
    case .real(let value): String(value)
    }
  }
}
