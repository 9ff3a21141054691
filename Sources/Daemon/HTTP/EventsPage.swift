import HTTPTypes
import Hummingbird
import NIOCore

/// `/events`: what the status page shows, as server-sent events.
///
/// Source: HTML Living Standard, chapter 9.2 "Server-sent events".
enum EventsPage {
  static func page(_ feed: EventFeed) -> Page {
    Page(path: "/events", summary: "the same as a stream of events, one a second") { request, origin in
      // A HEAD would take a place among the clients.
      guard request.method == .get else { return Response(status: .ok, headers: headers) }
      guard let subscription = feed.subscribe(origin.channel) else {
        return .text(
          .serviceUnavailable,
          "cdcd is stopping, or \(feed.limits.clients) clients listen already; /status has the same")
      }
      // What the system keeps for a client that does not read.
      origin.channel.setOption(.socketOption(.so_sndbuf), value: sendBuffer).whenFailure { _ in }
      return Response(status: .ok, headers: headers, body: body(subscription))
    }
  }

  private static let sendBuffer: SocketOptionValue = 65_536

  private static let headers: HTTPFields = {
    var headers: HTTPFields = [
      .contentType: "text/event-stream", .cacheControl: "no-store", .xContentTypeOptions: "nosniff",
    ]
    // nginx would collect events before it passes them on.
    if let name = HTTPField.Name("X-Accel-Buffering") { headers[name] = "no" }
    return headers
  }()

  private static func body(_ subscription: EventFeed.Subscription) -> ResponseBody {
    ResponseBody { writer in
      try await writer.write(subscription.opening)
      for await event in subscription.events { try await writer.write(event) }
      try await writer.finish(nil)
    }
  }
}
