import Crypto
import FoundationEssentials
import HTTPTypes
import Hummingbird
import Synchronization

/// `/`: the status page, one file without a request to anywhere but `/events`.
enum IndexPage {
  static func page(linking pages: [Page]) -> Page {
    let document = Document(linking: pages)
    return Page(path: "/", summary: "this page") { _, _ in
      let (html, policy) = document.made
      var response = Response(.ok, contentType: "text/html; charset=utf-8", html)
      response.headers[.contentSecurityPolicy] = policy
      if let name = HTTPField.Name("Referrer-Policy") { response.headers[name] = "no-referrer" }
      return response
    }
  }

  /// Made when the page is first asked for: what it takes is a megabyte of code that nothing else uses.
  private final class Document: Sendable {
    private let links: String
    private let content = Mutex<(html: String, policy: String)?>(nil)

    init(linking pages: [Page]) {
      links = pages.map { "<li><a href=\"\($0.path)\">\($0.path)</a> \($0.summary)</li>" }
        .joined(separator: "\n")
    }

    var made: (html: String, policy: String) {
      content.withLock { content in
        if let content { return content }
        let html = String(decoding: PackageResources.index_html, as: UTF8.self)
          .replacing("<!-- pages -->", with: links)
        let made = (html, contentSecurityPolicy(html))
        content = made
        return made
      }
    }
  }

  /// Allows the page's own style and script, its icon, and requests to where it came from; nothing else.
  private static func contentSecurityPolicy(_ html: String) -> String {
    [
      "default-src 'none'", "style-src \(hash(of: "style", in: html))",
      "script-src \(hash(of: "script", in: html))", "connect-src 'self'", "img-src data:", "base-uri 'none'",
      "form-action 'none'", "frame-ancestors 'none'",
    ].joined(separator: "; ")
  }

  /// Of what stands between the tags of the only element with this name.
  private static func hash(of element: String, in html: String) -> String {
    guard let start = html.firstRange(of: "<\(element)>"), let end = html.firstRange(of: "</\(element)>")
    else {
      return "'none'"
    }
    let digest = SHA256.hash(data: Data(html[start.upperBound..<end.lowerBound].utf8))
    return "'sha256-\(Data(digest).base64EncodedString())'"
  }
}
