import { households } from './scenarios.ts';

households('rough');
