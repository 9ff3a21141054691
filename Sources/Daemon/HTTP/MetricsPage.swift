import Hummingbird

/// `/metrics`, for Prometheus.
enum MetricsPage {
  static func page(_ board: StatusBoard, _ identity: DaemonIdentity) -> Page {
    Page(path: "/metrics", summary: "metrics for Prometheus") { _, _ in
      do {
        let text = try render(board.snapshot(), identity)
        return Response(.ok, contentType: PrometheusText.contentType, text)
      } catch {
        return .text(.internalServerError, "the process metrics cannot be read: \(error)")
      }
    }
  }

  static func render(_ snapshot: StatusBoard.Snapshot, _ identity: DaemonIdentity) throws -> String {
    let input = MetricsInput(
      version: identity.version, snapshot: snapshot, age: snapshot.age / .seconds(1),
      isReady: snapshot.obstacles.isEmpty, process: try ProcessFacts.current())
    return PrometheusText.render(Metric.all, input)
  }
}
