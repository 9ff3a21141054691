import Hummingbird
import HTTPTypes
import NIOCore

/// What a request knows beside its head: the connection that it came on.
struct RequestOrigin: InitializableFromSource {
  let channel: any Channel
  /// Whether whoever asks knows the token, or there is none.
  var isTrusted = false

  init(source: ApplicationRequestContextSource) { channel = source.channel }
}

/// One path that the daemon answers.
struct Page: Sendable {
  let path: String
  /// What a person finds there, in a few words.
  let summary: String
  /// Whether it is answered without the token.
  var isPublic = false
  let answer: @Sendable (Request, RequestOrigin) async -> Response
}

/// Finds the page of a request. Every answer comes from a snapshot: no request ever reaches into the event loop.
struct Pages: HTTPResponder {
  let pages: [Page]
  private let access: AccessControl

  init(board: StatusBoard, identity: DaemonIdentity, feed: EventFeed, access: AccessControl) {
    let pages = [
      LivePage.page(board), ReadyPage.page(board), HealthPage.page(board),
      MetricsPage.page(board, identity), StatusPage.page(board, identity), EventsPage.page(feed),
      WaitPage.page(board), WhyPage.page(board),
    ]
    self.access = access
    self.pages = [IndexPage.page(linking: pages)] + pages
  }

  func respond(to request: Request, context: RequestOrigin) async -> Response {
    // A connection that sends one request after the other without waiting would keep its thread, and probes from theirs.
    await Task.yield()
    if let misdirection = access.misdirection(of: request) { return misdirection }
    let page = pages.first { $0.path == request.uri.path }
    var context = context
    context.isTrusted = access.isTrusted(request)
    guard context.isTrusted || page?.isPublic == true else { return AccessControl.unauthorized() }
    guard let page else {
      let paths = pages.map(\.path).joined(separator: " ")
      return .text(.notFound, "there is nothing at this path; there is: \(paths)")
    }
    switch request.method {
    case .get: return await page.answer(request, context)
    case .head: return await page.answer(request, context).createHeadResponse()
    default:
      var response = Response.text(.methodNotAllowed, "\(page.path) answers GET and HEAD only")
      response.headers[.allow] = "GET, HEAD"
      return response
    }
  }
}

/// Who answers: the same for the whole run.
package struct DaemonIdentity: Sendable {
  package var version: String
  /// What it reads changes from; nil where nobody has said.
  package var source: Configuration.Source?
  package var started: ContinuousClock.Instant

  package init(
    version: String, source: Configuration.Source? = nil, started: ContinuousClock.Instant = .now
  ) {
    self.version = version
    self.source = source
    self.started = started
  }
}
