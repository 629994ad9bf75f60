// SPDX-License-Identifier: Apache-2.0
// The package is CommonJS, and what imports it expects a default export.
const module_ = require('./node_modules/react-custom-scrollbars-2/lib/index.js');

export const Scrollbars = module_.Scrollbars;
export default module_.default || module_;
