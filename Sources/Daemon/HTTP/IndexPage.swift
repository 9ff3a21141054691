import Hummingbird

/// `/`: says what this is and where to go.
enum IndexPage {
  static func page(linking pages: [Page], _ identity: DaemonIdentity) -> Page {
    let html = document(pages, identity)
    return Page(path: "/", summary: "this list") { _, _ in
      Response(.ok, contentType: "text/html; charset=utf-8", html)
    }
  }

  private static func document(_ pages: [Page], _ identity: DaemonIdentity) -> String {
    let items = pages.map { "<li><a href=\"\($0.path)\">\($0.path)</a> \($0.summary)</li>" }
    return """
      <!doctype html>
      <html lang="en">
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width">
      <title>cdcd</title>
      <style>body { font: 16px/1.6 system-ui, sans-serif; margin: 3rem auto; max-width: 40rem; padding: 0 1rem }</style>
      <h1>cdcd \(identity.version)</h1>
      <p>Deletes the cache keys of committed row changes.</p>
      <ul>
      \(items.joined(separator: "\n"))
      </ul>
      </html>

      """
  }
}
