import Hummingbird

/// `/metrics`, for Prometheus.
enum MetricsPage {
  static func page(_ board: StatusBoard, _ identity: DaemonIdentity) -> Page {
    Page(path: "/metrics", summary: "metrics for Prometheus") { _, _ in
      Response(.ok, contentType: PrometheusText.contentType, render(board.snapshot(), identity))
    }
  }

  static func render(_ snapshot: StatusBoard.Snapshot, _ identity: DaemonIdentity) -> String {
    let input = MetricsInput(
      version: identity.version, snapshot: snapshot, age: snapshot.age / .seconds(1),
      isReady: snapshot.obstacles.isEmpty, process: try? ProcessFacts.current())
    return PrometheusText.render(Metric.all, input)
  }
}
