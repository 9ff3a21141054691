/// Whether the pages are for more people than they should be.
package enum HTTPCheck {
  package static func findings(for http: Configuration.HTTP) -> [Finding] {
    guard http.token == nil else { return [] }
    return http.listen.filter { !$0.isLocal }.map { address in
      Finding(
        .warning,
        "http.listen is \(address), and everyone who comes there may read the names of hosts, tables and rules: there is no"
          + " http.token.",
        remedy: "Set http.token, or listen on 127.0.0.1:9810 or unix:/run/cdcd/http.sock.")
    }
  }
}
