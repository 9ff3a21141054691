import Foundation

/// Chromium without a window, driven through Debian's chromedriver; ends with this object.
///
/// Source: W3C "WebDriver" level 2, and the Chrome DevTools Protocol for what that has not.
final class Browser {
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  private let driver: ServerProcess
  private let port: Int
  private let session: String

  init(in folder: TemporaryFolder) throws {
    let port = try LoopbackConnection.freePort()
    // Its own death ends the browser, so it must not be killed.
    let driver = try ServerProcess(
      ["/usr/bin/chromedriver", "--port=\(port)"], log: folder.file("chromedriver.log"), deathSignal: "TERM")
    try eventually(within: .seconds(30), "chromedriver answers") {
      try HTTPResponse.get("/status", port: port).status == 200
    }
    self.driver = driver
    self.port = port
    // Containers let nobody make the namespaces of Chromium's sandbox, and give little shared memory.
    let options = [
      "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
      "--user-data-dir=\(folder.file("chromium"))",
    ]
    let capabilities: [String: Any] = [
      "goog:chromeOptions": ["args": options],
      "goog:loggingPrefs": ["browser": "ALL", "performance": "ALL"],
    ]
    let answer = try Self.ask(
      "POST", "/session", ["capabilities": ["alwaysMatch": capabilities]], port: port)
    guard let session = (answer as? [String: Any])?["sessionId"] as? String else {
      throw Failure(description: "no session: \(answer)")
    }
    self.session = session
  }

  deinit {
    _ = try? Self.ask("DELETE", "/session/\(session)", [:], port: port)
    driver.signal(SIGTERM)
  }

  func open(_ url: String) throws { _ = try command("/url", ["url": url]) }

  /// The value that a function body of JavaScript returns.
  @discardableResult
  func run(_ script: String) throws -> Any {
    try command("/execute/sync", ["script": script, "args": [] as [String]])
  }

  /// The same, of one that hands its value to the function `done`.
  func runUntilDone(_ script: String) throws -> Any {
    try command(
      "/execute/async", ["script": "const done = arguments[0]; " + script, "args": [] as [String]])
  }

  /// The text of the first element that the selector finds; nil when there is none or it is hidden.
  func text(_ selector: String) throws -> String? {
    try run("const found = document.querySelector(`\(selector)`); return found && found.innerText") as? String
  }

  /// Makes the window so wide, in CSS pixels, and sets what the user prefers.
  func present(width: Int, isDark: Bool) throws {
    try instruct(
      "Emulation.setDeviceMetricsOverride",
      ["width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false])
    let scheme = ["name": "prefers-color-scheme", "value": isDark ? "dark" : "light"]
    try instruct("Emulation.setEmulatedMedia", ["features": [scheme]])
  }

  /// What the console got since the last time: errors of scripts, refused and failed requests.
  func consoleMessages() throws -> [(source: String, text: String)] {
    try entries(of: "browser").map { ($0["source"] as? String ?? "", $0["message"] as? String ?? "") }
  }

  /// Where the page at `address` has sent requests since the last time, that for itself included.
  func requests(of address: String) throws -> [String] {
    try entries(of: "performance").compactMap { entry in
      let text = entry["message"] as? String ?? ""
      let event = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
      let message = event?["message"] as? [String: Any]
      guard message?["method"] as? String == "Network.requestWillBeSent",
        let parameters = message?["params"] as? [String: Any],
        parameters["documentURL"] as? String == address
      else { return nil }
      return (parameters["request"] as? [String: Any])?["url"] as? String
    }
  }

  private func entries(of log: String) throws -> [[String: Any]] {
    try command("/se/log", ["type": log]) as? [[String: Any]] ?? []
  }

  private func instruct(_ method: String, _ parameters: [String: Any]) throws {
    _ = try command("/goog/cdp/execute", ["cmd": method, "params": parameters])
  }

  private func command(_ path: String, _ parameters: [String: Any]) throws -> Any {
    try Self.ask("POST", "/session/\(session)\(path)", parameters, port: port)
  }

  private static func ask(
    _ method: String, _ path: String, _ parameters: [String: Any], port: Int
  ) throws -> Any {
    let body = try JSONSerialization.data(withJSONObject: parameters)
    let answer = try HTTPResponse.send(
      method, path, body: method == "POST" ? String(decoding: body, as: UTF8.self) : "", port: port,
      timeout: .seconds(60))
    let json = try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any]
    guard answer.status == 200, let value = json?["value"] else {
      throw Failure(description: "\(path) answered \(answer.status): \(answer.body.prefix(2_000))")
    }
    return value
  }
}
