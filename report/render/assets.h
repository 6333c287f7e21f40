// Files that the HTML page carries inside it, embedded when the program is built
// (cmake/EmbedAsset.cmake).
#pragma once

#include <string_view>

namespace mfutrace::report::assets {

std::string_view ChartJs();     // Chart.js, as the Debian package libjs-chart.js installs it
std::string_view PageStyle();   // report/assets/page.css
std::string_view PageScript();  // report/assets/page.js

}  // namespace mfutrace::report::assets
