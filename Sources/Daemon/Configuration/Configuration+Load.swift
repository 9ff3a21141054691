import Invalidation
import Yams

extension Configuration {
  /// Reads and validates a rules file. `environment` is what `${NAME}` expands from.
  ///
  /// - Throws: `ConfigurationError` with every problem of the file that could be found.
  package static func load(
    path: String, environment: [String: String]
  ) throws(ConfigurationError) -> Configuration {
    let text: String
    do {
      text = try readTextFile(path)
    } catch {
      let problem = ConfigurationError.Problem(
        file: path, place: nil, found: "no readable file (\(error.reason))", expected: "a rules file")
      throw ConfigurationError(problems: [problem])
    }
    return try read(text, file: path, environment: environment)
  }

  /// As `load`, from the text of a file named `file` in errors.
  package static func read(
    _ text: String, file: String, environment: [String: String]
  ) throws(ConfigurationError) -> Configuration {
    // Editors on Windows write a byte order mark, which is no part of the text.
    let text = String(text.unicodeScalars.trimmingPrefix("\u{FEFF}".unicodeScalars))
    var reader = ConfigurationReader(file: file, text: text, environment: environment)
    var configuration: Configuration?
    do {
      if let root = try YAMLDocument(text).root {
        configuration = reader.configuration(root)
      } else {
        reader.problem("an empty file", expected: "source, redis and rules", at: nil)
      }
    } catch {
      reader.problem(error.found, expected: error.expected, at: error.place)
    }
    guard reader.problems.isEmpty, let configuration else {
      throw ConfigurationError(problems: reader.sortedProblems)
    }
    return configuration
  }
}

extension ConfigurationReader {
  /// Sorted by place, those without one first.
  var sortedProblems: [ConfigurationError.Problem] {
    let start = Place(line: 0, column: 0)
    return problems.sorted { ($0.place ?? start) < ($1.place ?? start) }
  }

  fileprivate mutating func configuration(_ root: Node) -> Configuration? {
    let fields = fields(
      of: root, of: "the file", known: ["source", "redis", "http", "log", "on_gap", "rules"],
      required: ["source", "redis", "rules"])
    guard let fields else { return nil }
    let source = self.source(fields["source"])
    let redis = self.redis(fields["redis"])
    let http = self.http(fields["http"])
    let log = self.log(fields["log"])
    let onGap: GapPolicy = choice(fields["on_gap"]) ?? .flush
    let rules = self.rules(
      fields["rules"], onGap: onGap, hasReplicas: source?.replicas.isEmpty == false)
    guard let source, let redis else { return nil }
    var configuration = Configuration(source: source, redis: redis)
    configuration.http = http ?? configuration.http
    configuration.log = log ?? configuration.log
    configuration.onGap = onGap
    configuration.rules = rules
    return configuration
  }
}
