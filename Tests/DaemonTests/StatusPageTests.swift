import Foundation
import Testing

@testable import Daemon

/// The page as it is written; what a browser makes of it is among the slow checks.
@Suite struct StatusPageTests {
  private static let html: String = {
    let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let file = sources.appendingPathComponent("Sources/Daemon/HTTP/index.html")
    return (try? String(contentsOf: file, encoding: .utf8)) ?? ""
  }()

  private static func content(of element: String) throws -> String {
    let start = try #require(html.range(of: "<\(element)>"))
    let end = try #require(html.range(of: "</\(element)>"))
    return String(html[start.upperBound..<end.lowerBound])
  }

  /// The custom properties of a theme: their names without dashes, and their sRGB colours.
  private static func colors(isDark: Bool) throws -> [String: String] {
    let style = try content(of: "style")
    let start = try #require(style.range(of: "@media (prefers-color-scheme: dark)"))
    let light = style[..<start.lowerBound]
    let dark = style[start.upperBound...].prefix { $0 != "*" }
    let declarations = (isDark ? dark : light).matches(of: /--([a-z-]+): (#[0-9a-f]{6});/)
    return Dictionary(uniqueKeysWithValues: declarations.map { (String($0.1), String($0.2)) })
  }

  /// Source: WCAG 2.2, "relative luminance".
  private static func luminance(_ color: String) throws -> Double {
    let channels = try stride(from: 1, to: 7, by: 2).map { offset in
      let digits = color.dropFirst(offset).prefix(2)
      let value = Double(try #require(UInt8(digits, radix: 16))) / 255
      return value <= 0.04045 ? value / 12.92 : pow((value + 0.055) / 1.055, 2.4)
    }
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]
  }

  @Test(arguments: [false, true])
  func textHasTheContrastOfWCAGLevelAA(isDark: Bool) throws {
    let colors = try Self.colors(isDark: isDark)
    #expect(colors.count == 11)
    let pairs = [
      ("text", ["page", "card", "bad-soft", "warn-soft", "accent-soft"]),
      ("quiet", ["page", "card", "accent-soft"]), ("accent", ["page", "card"]),
      ("warn", ["card", "warn-soft"]),
      ("bad", ["page", "card", "bad-soft"]),
    ]
    for (front, backs) in pairs {
      for back in backs {
        let one = try Self.luminance(try #require(colors[front]))
        let other = try Self.luminance(try #require(colors[back]))
        let contrast = (max(one, other) + 0.05) / (min(one, other) + 0.05)
        #expect(contrast >= 4.5, "\(front) on \(back): \(contrast)")
      }
    }
  }

  @Test func nothingIsAskedOfAnotherServer() throws {
    let script = try Self.content(of: "script")
    #expect(!Self.html.contains(/(src|href|action)="?(https?:)?\/\//))
    #expect(!Self.html.contains("@import") && !Self.html.contains("url("))
    #expect(!script.contains("fetch(") && !script.contains("XMLHttpRequest"))
  }

  @Test func textIsNeverTakenForMarkup() throws {
    let script = try Self.content(of: "script")
    for name in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("] {
      #expect(!script.contains(name), "\(name)")
    }
  }

  @Test func everyTableHasACaptionAndEveryHeadAScope() {
    let tables = Self.html.matches(of: /<table>/).count
    #expect(tables == 6)
    #expect(Self.html.matches(of: /<caption><h2>[^<]+<\/h2><\/caption>/).count == tables)
    #expect(Self.html.matches(of: /<th[ >]/).count == Self.html.matches(of: /<th scope="col"/).count)
  }
}
