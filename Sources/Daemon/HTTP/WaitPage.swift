import Hummingbird
import HTTPTypes
import Invalidation

/// `/wait?lsn=0/16B3748&timeout=5s`: answers as soon as the settled watermark covers the position, so that an
/// application reads its own writes.
enum WaitPage {
  private struct Answer: Encodable {
    let lsn: String
    let settled: String?
    var error: String?
    var notReady: [String]?
  }

  private struct Refusal: Encodable {
    let error: String
  }

  static func page(_ board: StatusBoard) -> Page {
    Page(path: "/wait", summary: "waits for a position: ?lsn=0/16B3748&timeout=5s") { request, origin in
      let wanted: WaitRequest
      do throws(WaitRequestError) {
        wanted = try WaitRequest(query: request.uri.queryParameters)
      } catch {
        return .json(.badRequest, Refusal(error: error.message))
      }
      return await answer(wanted, board, origin)
    }
  }

  private static func answer(
    _ request: WaitRequest, _ board: StatusBoard, _ origin: RequestOrigin
  ) async -> Response {
    let outcome = await ConnectionGuard.whileConnected(origin.channel) {
      await board.wait(for: request.lsn.beforePageHeader, timeout: request.timeout)
    }
    switch outcome {
    case .settled(let settled):
      return .json(.ok, Answer(lsn: request.lsn.description, settled: settled.description))
    case .timedOut:
      return timedOut(request, board.snapshot())
    case .tooMany:
      return .json(
        .serviceUnavailable,
        Refusal(error: "\(StatusBoard.maximumWaiters) requests wait already; try again later"))
    case .stopping:
      return .json(.serviceUnavailable, Refusal(error: "cdcd is stopping"))
    case .cancelled:
      return .json(.init(code: 499, reasonPhrase: "Client Closed Request"), Refusal(error: "the client left"))
    }
  }

  private static func timedOut(_ request: WaitRequest, _ snapshot: StatusBoard.Snapshot) -> Response {
    var obstacles = (snapshot.obstacles + snapshot.status.degraded).map { "\($0.check): \($0.message)" }
    if let change = snapshot.status.unseenChange, change < request.lsn {
      obstacles.append("publication: the catalogue is looked at again, since there was DDL at \(change)")
    }
    return .json(
      .gatewayTimeout,
      Answer(
        lsn: request.lsn.description, settled: snapshot.status.settled.description,
        error: "the position was not settled within \(request.timeout)",
        notReady: obstacles.isEmpty ? nil : obstacles))
  }
}
